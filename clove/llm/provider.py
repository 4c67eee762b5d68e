"""What a provider of answers is: one module each, `offline` and `gemini`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from zope.interface import Attribute, Interface

from clove.errors import CloveError
from clove.llm.exchange import Ask, Done

__all__ = ["Emit", "IProvider", "Spent"]

Emit = Callable[[str], Awaitable[None]]
"""Takes a piece of an answer's text; waits when the reader is slow."""


class IProvider(Interface):
    """Answers questions, several at once, in asyncio."""

    name: str = Attribute("The provider's name, as replies give it.")
    model: str = Attribute("The model asked when a question names none.")

    async def answer(ask: Ask, emit: Emit) -> Done:  # noqa: N805
        """Answer one question; with `ask.stream`, emit the text as it comes too.

        Cancelling the task abandons the question.

        @raise CloveError: there is no answer. L{Spent} when it cost something.
        """

    async def close() -> None:
        """Release connections."""


class Spent(CloveError):
    """A failure that was billed; stands for `error` and carries the tokens."""

    def __init__(self, error: CloveError, input_tokens: int, output_tokens: int) -> None:
        super().__init__(error.message, rule=error.rule, hint=error.hint)
        self.error = error
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
