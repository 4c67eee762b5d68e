"""A kernel's LLM with its real service process, and the fake Gemini that it talks to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from clove.errors import CloveError
from clove.kernel.llm import LLM, LLMLimits, LLMSettings
from clove.messages.think import ThinkReply, ThinkRequest
from clove.policy import Level, Permissions, for_level
from clove.testing.fake_gemini import FakeGemini
from clove.testing.gemini_script import Behaviour

KEY = "test-key-2f8c1b"
ENVIRON = {"PATH": os.environ["PATH"], "GEMINI_API_KEY": KEY}
reactor: Any = global_reactor


class House:
    """A kernel's LLM and the Gemini that it talks to."""

    def __init__(self, fake: FakeGemini, llm: LLM) -> None:
        self.fake = fake
        self.llm = llm

    def think(
        self,
        prompt: str = "hello there",
        agent: int = 1,
        permissions: Permissions | None = None,
        on_text: Callable[[str], None] | None = None,
        **fields: Any,
    ) -> Deferred[ThinkReply]:
        request = ThinkRequest(prompt=prompt, stream=on_text is not None, **fields)
        return self.llm.think(agent, permissions or quota(), request, on_text)

    async def error(self, *script: Behaviour, stream: bool = False, **fields: Any) -> CloveError:
        self.fake.script.extend(script)
        with pytest.raises(CloveError) as raised:
            await self.think(on_text=(lambda _: None) if stream else None, **fields)
        return raised.value

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            await deferLater(reactor, 0.005)


@asynccontextmanager
async def house(
    environ: dict[str, str] | None = None, limits: LLMLimits | None = None, **settings: Any
) -> AsyncIterator[House]:
    fake = FakeGemini(reactor, KEY)
    address = fake.start()
    settings.setdefault("base_url", address)
    settings.setdefault("retry_delay", 0.01)
    environ = {**(ENVIRON if environ is None else environ)}
    environ = {name: value.replace("FAKE", address) for name, value in environ.items()}
    llm = LLM(reactor, LLMSettings(limits=limits or LLMLimits(), **settings), environ)
    llm.start()
    try:
        yield House(fake, llm)
    finally:
        await llm.stop()
        await fake.stop()


def quota(calls: int = 0, tokens: int = 0) -> Permissions:
    full = for_level(Level.STANDARD)
    return msgspec.structs.replace(full, max_llm_calls=calls, max_llm_tokens=tokens)


async def outcomes(asked: Iterable[Deferred[ThinkReply]]) -> list[Any]:
    done = await DeferredList(list(asked), consumeErrors=True)
    return [value.value if isinstance(value, Failure) else value for _, value in done]
