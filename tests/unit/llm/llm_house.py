"""The kernel's side of the LLM service, with a service that does what the test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.errors import (
    CloveError,
)
from clove.kernel.llm import LLM, LLMLimits, LLMSettings
from clove.messages.think import ThinkReply, ThinkRequest
from clove.policy import Permissions, for_level


class Service:
    """The pipes of one service process, held by the test."""

    pid = 4711

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.asked: list[dict[str, Any]] = []
        self.cancelled: list[int] = []
        self.signals: list[str] = []
        self.stdin_closed = False
        self.over = False
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        for line in data.splitlines():
            said = json.loads(line)
            if "cancel" in said:
                self.cancelled.append(said["cancel"])
            else:
                self.asked.append(said)

    def closeStdin(self) -> None:
        self.stdin_closed = True

    def signalProcess(self, name: str) -> None:
        if self.over:
            raise ProcessExitedAlready
        self.signals.append(name)

    def say(self, **message: object) -> None:
        self.protocol.outReceived(json.dumps(message).encode() + b"\n")

    def ready(self) -> None:
        self.say(type="ready", provider="offline", model="offline-1")

    def done(self, number: int, tokens: int = 10, content: str = "answer") -> None:
        self.say(
            type="done",
            id=number,
            content=content,
            input_tokens=4,
            output_tokens=tokens - 4,
            model="m",
            provider="p",
        )

    def fail(self, number: int | None, code: str = "unavailable", **fields: object) -> None:
        self.say(type="error", id=number, code=code, error="no", **fields)

    def die(self, signal: int | None = 9) -> None:
        self.over = True
        error = ProcessTerminated(signal=signal) if signal else ProcessDone(0)
        self.protocol.processEnded(Failure(error))


class Processes(Clock):
    """A clock that starts processes."""

    def __init__(self) -> None:
        super().__init__()
        self.services: list[Service] = []
        self.refuse = False

    def spawnProcess(self, protocol: Any, *args: Any, **kwargs: Any) -> Service:
        if self.refuse:
            raise OSError(11, "no more processes")
        self.services.append(Service(protocol))
        return self.services[-1]


class House:
    """An LLM whose service has been asked and is ready, and what one asks it.

    @param started: whether the service's process is there before the first question.
    """

    def __init__(self, ready: bool = True, started: bool = True, **settings: Any) -> None:
        self.clock = Processes()
        limits = LLMLimits(**settings.pop("limits", {}))
        self.permissions: dict[int, Permissions] = {}
        self.llm = LLM(
            self.clock,
            LLMSettings(limits=limits, **settings),
            {},
            permissions_of=lambda agent_id: self.permissions.get(agent_id),
        )
        self.llm.start()
        if started:
            for service in self.llm.services.values():
                service.ensure_started()
        if ready and started:
            self.service.ready()

    @property
    def service(self) -> Service:
        return self.clock.services[-1]

    def think(
        self,
        agent: int = 1,
        prompt: str = "question",
        permissions: Permissions | None = None,
        on_text: Callable[[str], None] | None = None,
        family: int | None = None,
        **fields: Any,
    ) -> Deferred[ThinkReply]:
        asked = ThinkRequest(prompt=prompt, **fields)
        path = (agent,) if family in (None, agent) else (family or 0, agent)
        return self.llm.think(agent, permissions or quota(), asked, on_text, path)

    @property
    def order(self) -> list[str]:
        return [question["prompt"] for question in self.service.asked]

    def numbers(self) -> list[int]:
        return [question["id"] for question in self.service.asked]


def quota(calls: int = 0, tokens: int = 0) -> Permissions:
    return msgspec.structs.replace(
        for_level("standard"),
        max_llm_calls=calls,
        max_llm_tokens=tokens,
    )


def result(deferred: Deferred[ThinkReply]) -> ThinkReply:
    seen: list[Any] = []
    deferred.addBoth(seen.append)
    assert seen, "nothing yet"
    if isinstance(seen[0], Failure):
        seen[0].raiseException()
    assert isinstance(seen[0], ThinkReply)
    return seen[0]


def error(deferred: Deferred[ThinkReply]) -> CloveError:
    with pytest.raises(CloveError) as raised:
        result(deferred)
    return raised.value
