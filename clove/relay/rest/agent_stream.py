"""One agent's output, changes of its state and its end, fetched from its kernel for one reader at a time.

An attached stream has the agent's pipes read no faster than its reader takes it, and stays for a while
when the reader is gone, so that it can go on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from clove.client.methods.streams import hold_output
from clove.errors import AlreadyExists, CloveError, ConnectionLost, InvalidRequest
from clove.relay.kernel_client import KernelClient
from clove.relay.rest.bell import Bell
from clove.relay.rest.kept_output import KeptOutput, Part
from clove.relay.rest.problems import problem_of

__all__ = ["AgentStream", "Reader"]

_WAIT: Final = 20.0
"""Seconds that the kernel has for the next byte; then it is asked again."""
_PIECE: Final = 128 << 10
_STATES: Final = 16
"""Changes of the state that wait for a reader; more are left out, the oldest first."""
_EVENTS: Final = {
    "AGENT_SPAWNED": "running",
    "AGENT_PAUSED": "paused",
    "AGENT_RESUMED": "running",
    "AGENT_RESTARTING": "restarting",
    "AGENT_ESCALATED": "escalated",
    "AGENT_EXITED": "exited",
}
"""What is subscribed to, and the state that it says."""
_FACTS: Final = ("exit_code", "signal", "reason", "restart_count", "delay")
_RESTARTED: Final = 0.25
"""Seconds between two looks whether an agent that restarts runs again."""
_RESTARTING: Final = ("restarting", "starting")


class Reader(Protocol):
    """Takes a stream.

    @ivar paused: it takes nothing now; it rings the stream's bell when that changes.
    """

    @property
    def paused(self) -> bool:
        """Whether it takes nothing now."""

    def output(self, part: Part) -> None:
        """Bytes."""

    def event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Something else: `status`, `lost`, and as the last one `exit` or `error`."""

    def taken(self, written: int) -> int:
        """The offset before which it has all, of what was written to it."""

    def abort(self) -> None:
        """Cut its connection at once."""


class AgentStream:
    """One stream.

    @ivar bell: rings when there is something new for the reader.
    @ivar reader: who reads it now.
    @ivar end: how the agent has ended, once all of its output is here.
    @ivar error: why there will be no more.
    """

    def __init__(self, clock: Any, agent_id: int, since: int, kept: int, *, attached: bool) -> None:
        self.bell = Bell()
        self.reader: Reader | None = None
        self.end: dict[str, Any] | None = None
        self.error: CloveError | None = None
        self.kept = KeptOutput(kept, since)
        self._clock = clock
        self._agent_id = agent_id
        self._attached = attached
        self._open = self._holds = self._lost = False
        self._states: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_STATES)
        self._changes = 0
        self._is_cut_off = False
        self._room = Bell()

    async def until_open(self) -> None:
        """Wait until the kernel has agreed.

        @raise CloveError: it has not.
        """
        while not self._open:
            if self.error is not None:
                raise self.error
            await self.bell.wait()

    def fail(self, error: CloveError) -> None:
        """There will be no more."""
        if self.end is None and self.error is None:
            self.error = error
        self.bell.ring()

    def cut_off(self) -> None:
        """Its token is not valid any more, or does not reach the machine: a reader that takes nothing now is not
        waited for.
        """
        self._is_cut_off = True
        self.bell.ring()

    # from the kernel

    async def fetch(self, client: KernelClient) -> None:
        """Fetch all of it, as there is room.

        @raise CloveError: the kernel refuses, or is gone.
        """
        agent = {"agent_id": self._agent_id}
        client.on_event = lambda event: self._happened(client, event)
        client.on_events_lost = lambda reason: self._watch_again(client)
        entry = (await client.inspect(**agent))["agent"]
        await client.subscribe(list(_EVENTS), push=True)
        if self._attached:
            await self._hold(client)
        self._note({"state": entry.get("state", "")})
        self._open = True
        ended = False
        while not ended:
            while not (room := self.kept.room):
                await self._room.wait()
            page = await self._page(client, min(room, _PIECE))
            self.kept.add(page)
            ended = page["ended"]
            self.bell.ring()
        end = await client.wait(**agent, timeout=_WAIT)
        self.end = {key: end.get(key) for key in ("exit_code", "signal", "reason")}
        self.bell.ring()

    async def _page(self, client: KernelClient, most: int) -> Any:
        """What comes next.

        @raise ConnectionLost: the channel was lost, and with it the attachment; the client has made another.
        """
        asked: dict[str, Any] = {"agent_id": self._agent_id, "max": most, "wait": _WAIT}
        if self._holds:
            try:
                return await client.read_output(**asked, since=self.kept.next, attached=True)
            except InvalidRequest as error:
                if self._lost:
                    raise ConnectionLost(f"the way to the kernel was lost: {error}") from None
                if self._holds:
                    raise
        return await client.read_output(**asked, since=self.kept.next)

    async def _hold(self, client: KernelClient) -> None:
        begun: Deferred[None] = Deferred()

        def first(reply: object) -> None:
            if not begun.called:
                begun.callback(None)

        def over(reply: object) -> None:  # the agent has ended: there is nothing to hold any more
            self._holds = False
            first(reply)

        def failed(failure: Any) -> None:  # what is asked next fails as well, and says why
            self._lost = True
            if not begun.called:
                begun.errback(failure)

        self._holds = True
        client.stream(hold_output(agent_id=self._agent_id), first).addCallbacks(over, failed)
        await begun

    def _happened(self, client: KernelClient, event: Mapping[str, Any]) -> None:
        data = event["data"]
        if event.get("source_agent_id") != self._agent_id or event["type"] not in _EVENTS:
            return
        state = _EVENTS[event["type"]]
        if data.get("restarting"):
            return  # AGENT_RESTARTING says so, too
        self._note({"state": state, **{key: data[key] for key in _FACTS if key in data}})
        if state == "restarting":
            looking = Deferred.fromCoroutine(self._look(client, float(data.get("delay", 0.0))))
            looking.addErrback(lambda _: None)  # the stream says what is the matter

    def _watch_again(self, client: KernelClient) -> None:
        """The channel was lost, and reading goes on by another: have events there, and see what was missed."""

        async def watch() -> None:
            await client.subscribe(list(_EVENTS), push=True)
            entry = (await client.inspect(agent_id=self._agent_id))["agent"]
            state = entry.get("state", "")
            if self._states and state != self._states[-1][1].get("state"):
                self._note({"state": state})
            if state in _RESTARTING:
                await self._look(client, _RESTARTED)

        watching = Deferred.fromCoroutine(watch())
        watching.addErrback(lambda _: None)  # reading says what is the matter

    async def _look(self, client: KernelClient, delay: float) -> None:
        """The kernel tells of a restart before it, not when it is done."""
        state = "restarting"
        while state in _RESTARTING:
            await deferLater(self._clock, delay)
            delay = _RESTARTED
            state = (await client.inspect(agent_id=self._agent_id))["agent"].get("state", "")
        if state == "running":
            self._note({"state": state})

    def _note(self, state: dict[str, Any]) -> None:
        self._changes += 1
        self._states.append((self._changes, state))
        self.bell.ring()

    # to the reader

    async def deliver(self, reader: Reader, since: int) -> None:
        """Write it to a reader from an offset on, until its end; it is taken from an earlier reader."""
        self.reader = reader
        self.bell.ring()
        try:
            await self._deliver(reader, since)
        finally:
            if self.reader is reader:
                self.reader = None

    async def _deliver(self, reader: Reader, position: int) -> None:
        told = 0
        while self.reader is reader:
            taken = reader.taken(position)
            self.kept.reached(taken)
            self._room.ring()
            if not reader.paused:
                told = self._tell_states(reader, told)
                further = self._write(reader, min(position, self.kept.next))
                if further != position:
                    position = further
                    continue
                if self._finish(reader, position):
                    return
            elif self._is_cut_off:
                reader.abort()
                return
            await self.bell.wait()
        reader.event("error", _taken_over())

    def _tell_states(self, reader: Reader, told: int) -> int:
        for number, state in self._states:
            if number > told:
                reader.event("status", state)
        return self._changes

    def _write(self, reader: Reader, position: int) -> int:
        for part in self.kept.since(position, _PIECE):
            if part.offset > position:
                reader.event("lost", {"bytes": part.offset - position, "next": part.offset})
            reader.output(part)
            position = part.next
            if reader.paused:
                break
        return position

    def _finish(self, reader: Reader, position: int) -> bool:
        if position < self.kept.next:
            return False
        if self.end is not None:
            reader.event("exit", self.end)
        elif self.error is not None:
            reader.event("error", problem_fields(self.error))
        return self.end is not None or self.error is not None


def problem_fields(error: CloveError) -> dict[str, Any]:
    """An error as an event has it."""
    found: dict[str, Any] = msgspec.json.decode(problem_of(error).body)
    return found


def _taken_over() -> dict[str, Any]:
    return problem_fields(
        AlreadyExists(
            "another reader with this token has taken this stream",
            hint="read it once, or without attach",
        )
    )
