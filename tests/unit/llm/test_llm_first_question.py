"""The first question: what asks a model is imported for it, in a thread, while its agent may end."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from clove.errors import Unavailable
from clove.kernel.llm.llm import LLM
from clove.kernel.llm.settings import LLMSettings
from clove.messages.think import ThinkRequest
from clove.policy import Level, for_level


class Asked:
    """An agent's question, while a thread imports."""

    def __init__(self) -> None:
        self.loading: Deferred[None] = Deferred()
        self.llm = LLM(Clock(), LLMSettings(provider="offline"), {}, load=lambda _: self.loading)
        self.llm.start()
        self.llm.open(7)
        self.answers: list[Any] = []
        question = ThinkRequest(prompt="?")
        thinking = self.llm.think(7, for_level(Level.STANDARD), question)
        thinking.addBoth(self.answers.append)


def test_a_kernel_that_is_asked_nothing_has_no_service() -> None:
    llm = LLM(Clock(), LLMSettings(provider="offline"), {})
    llm.start()
    stopped: list[object] = []
    llm.stop().addCallback(stopped.append)
    assert stopped == [None]
    assert "_questions" not in vars(llm)


def test_a_question_of_an_agent_that_ends_meanwhile_is_not_asked() -> None:
    asked = Asked()
    asked.llm.close(7)
    assert [answer.type for answer in asked.answers] == [CancelledError]
    assert "_questions" not in vars(asked.llm)


def test_nothing_is_asked_once_the_kernel_stops() -> None:
    asked = Asked()
    asked.llm.stop()
    asked.loading.callback(None)
    assert [answer.type for answer in asked.answers] == [Unavailable]
    assert "_questions" not in vars(asked.llm)
