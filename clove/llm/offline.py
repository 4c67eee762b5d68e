"""The provider without a network: deterministic, for trials, tests and the demonstration.

Always provider `offline`, model `offline-1`, whatever model a request names.
It honours `max_tokens` (by the rule of `exchange.count_tokens`), the system
instruction (a role, "JSON", "bullet points", "one sentence", "brief") and the
thinking level (more sentences); temperature and tools change nothing.
"""

from __future__ import annotations

import json
import re

from zope.interface import implementer

from clove.llm.exchange import Ask, Done, count_tokens, estimate_input
from clove.llm.prose import cut, paragraph, subject, terms
from clove.llm.provider import Emit, IProvider

__all__ = ["MODEL", "Offline", "compose"]

MODEL = "offline-1"

_SENTENCES = {"low": 3, "medium": 5, "high": 7}
_ROLE = re.compile(r"\byou are (an? [^.,;\n]{3,60})", re.I)


@implementer(IProvider)
class Offline:
    """Answers from the prompt alone."""

    name = "offline"
    model = MODEL

    async def answer(self, ask: Ask, emit: Emit) -> Done:
        """The composed text, streamed word by word if the question wants that."""
        full = compose(ask)
        text = full if ask.max_tokens is None else cut(full, ask.max_tokens)
        if ask.stream:
            for piece in re.findall(r"\s*\S+\s*?", text):
                await emit(piece)
        return Done(
            id=ask.id,
            content=text,
            input_tokens=estimate_input(ask),
            output_tokens=count_tokens(text),
            model=MODEL,
            provider=self.name,
            finish_reason="stop" if text == full else "max_tokens",
        )

    async def close(self) -> None:
        """Nothing to release."""


def compose(ask: Ask) -> str:
    """The whole answer to a question; the same for the same question."""
    turns = [message for message in ask.messages or () if message.role != "system"]
    prompt = ask.prompt or next((turn.content for turn in reversed(turns) if turn.content), "")
    told = [message.content for message in ask.messages or () if message.role == "system"]
    system = "\n".join([ask.system_instruction or "", *told])
    earlier = "\n".join(turn.content for turn in turns if turn.content != prompt)
    instructions = f"{system}\n{prompt}".lower()
    if "json" in instructions:
        return _as_json(prompt, _length(ask, instructions))
    text = paragraph(prompt, earlier, _length(ask, instructions))
    if "bullet" in instructions:
        text = "\n".join(f"- {sentence}" for sentence in re.split(r"(?<=[.!?]) ", text))
    role = _ROLE.search(system)
    if role and "bullet" not in instructions:
        text = f"Speaking as {role.group(1).strip()}: {text}"
    if ask.image is not None:
        text += f" An {ask.image.mime_type} picture came along; the offline model cannot see it."
    return text


def _length(ask: Ask, instructions: str) -> int:
    if "one sentence" in instructions or "single sentence" in instructions:
        return 1
    if "brief" in instructions or "concise" in instructions:
        return 2
    return _SENTENCES[ask.thinking_level or "medium"]


def _as_json(prompt: str, sentences: int) -> str:
    return json.dumps(
        {
            "topic": subject(prompt),
            "summary": paragraph(prompt, "", sentences),
            "terms": terms(prompt)[:6],
        },
        ensure_ascii=False,
    )
