"""A remote agent of version 1: a request and a response each a JSON text, answered in order.

Where its requests go is a L{Way}: a channel of a tunnel of version 2, or a tunnel of version 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.relay.hub.messages_v1 import parse_message, said
from clove.relay.machines.presence import RemoteCaller

if TYPE_CHECKING:
    from clove.channels.websocket_messages import MessageSocket
    from clove.messages.relay import Caller
    from clove.relay.hub.limits import HubLimits

__all__ = ["AgentV1", "Way", "entry_of"]

MOST_UNREAD: Final = 48 << 20
"""Bytes of answers that wait for an agent that does not read; then it is cut off."""


class Way(Protocol):
    """Carries one agent's requests to its kernel."""

    @property
    def is_behind(self) -> bool:
        """The kernel does not read as fast as is asked; L{AgentV1.way_drained} says when it does."""

    def ask(self, opcode: int, payload: bytes) -> None:
        """Send a request; L{AgentV1.answered} gets its answer, in order.

        @raise Unavailable: much waits for the kernel already; it was not sent.
        """

    def pause(self) -> None:
        """The agent does not read: fetch no more."""

    def resume(self) -> None:
        """It does again."""

    def close(self) -> None:
        """The agent is gone."""


class AgentV1:
    """One remote agent.

    @param reach: a way to its kernel, for this agent; raises a L{CloveError} where there is none.
    @param ended: called once, when it is gone.
    """

    version = 1

    def __init__(
        self,
        limits: HubLimits,
        caller: Caller,
        target_machine: str,
        connected_at: float,
        reach: Callable[[AgentV1], Way],
        ended: Callable[[AgentV1, str], object],
        bearer: str = "",
    ) -> None:
        self.caller = caller
        self.bearer = bearer or caller.token_id
        self.target_machine = target_machine
        self.connected_at = connected_at
        self.syscalls_sent = self.responses_received = 0
        self._limits = limits
        self._reach = reach
        self._ended = ended
        self._way: Way | None = None
        self._socket: MessageSocket | None = None
        self._waiting: deque[int] = deque()
        self._unread = 0

    @property
    def is_over(self) -> bool:
        """Its connection is gone."""
        return self._socket is None

    @property
    def status(self) -> str:
        """For people."""
        return "connected"

    def connect(self) -> None:
        """Find the way to its kernel.

        @raise Unavailable: there is none.
        """
        self._way = self._reach(self)

    def attach(self, socket: MessageSocket, rest: deque[bytes]) -> None:
        """Serve the connection.

        @param rest: what it has said already.
        """
        self._socket = socket
        socket.allow(2 * self._limits.syscall + 4096)
        socket.receiver = self
        for text in rest:
            self.text_received(text)

    def end(self, reason: str) -> None:
        """Close it. Idempotent."""
        if self._socket is not None:
            self._socket.end(reason)

    # what the agent says

    def text_received(self, text: bytes) -> None:
        """A message of the agent."""
        try:
            message = parse_message(text)
            if message.type == "ping":
                self._say(said("pong"))
            elif message.type == "syscall":
                self._ask(*message.opcode_and_payload())
            else:
                raise InvalidRequest("a remote agent says syscall or ping")
        except CloveError as error:
            self._say(said("error", **error.fields()))

    def _ask(self, opcode: int, payload: bytes) -> None:
        if len(payload) > self._limits.syscall:
            raise LimitExceeded(f"a payload has at most {self._limits.syscall} bytes")
        if self._way is None:
            self.connect()
        way = self._way
        assert way is not None
        self._waiting.append(opcode)  # before: the way may be lost meanwhile
        try:
            way.ask(opcode, payload)
        except CloveError:
            self._waiting.pop()
            raise
        self.syscalls_sent += 1
        full = len(self._waiting) >= self._limits.waiting
        if self._socket is not None and (full or way.is_behind):
            self._socket.pause()

    def binary_received(self, data: bytes) -> None:
        """Version 1 has none."""
        self.end("text messages only")

    def writable(self) -> None:
        """It reads again."""
        self._unread = 0
        if self._way is not None:
            self._way.resume()

    def closed(self, reason: str) -> None:
        """It is gone."""
        self._socket = None
        way, self._way = self._way, None
        if way is not None:
            way.close()
        self._ended(self, reason)

    # what the kernel says

    def answered(self, opcode: int, payload: bytes) -> None:
        """The kernel's answer to the request that has waited longest."""
        if not self._waiting:
            return
        self._waiting.popleft()
        self.responses_received += 1
        self._say(said("response", opcode=opcode, payload=payload))
        socket = self._socket
        if socket is not None:
            if len(self._waiting) == self._limits.waiting // 2:
                socket.resume()
            if socket.full and self._way is not None:
                self._way.pause()

    def way_drained(self) -> None:
        """The kernel has read what was asked."""
        if self._socket is not None and len(self._waiting) < self._limits.waiting:
            self._socket.resume()

    def way_lost(self, reason: str) -> None:
        """The kernel is gone, with what was asked and not answered. The next request looks for it again."""
        self._way = None
        waiting, self._waiting = self._waiting, deque()
        self._say(said("kernel_disconnected", machine_id=self.target_machine))
        for opcode in waiting:
            words = f"the kernel was disconnected: {reason}; the request may have been executed"
            self._say(said("error", error=words, code="unavailable", opcode=opcode))
        if self._socket is not None:
            self._socket.resume()

    def _say(self, text: bytes) -> None:
        socket = self._socket
        if socket is None:
            return
        if socket.full:
            self._unread += len(text)
            if self._unread > MOST_UNREAD:
                socket.abort()
                return
        socket.send_text(text)


def entry_of(agent: Any) -> RemoteCaller:
    """What REST shows of a remote agent of either version."""
    return RemoteCaller(
        agent_id=agent.caller.id,
        agent_name=agent.caller.name,
        target_machine=agent.target_machine,
        token_id=agent.bearer,
        connected_at=agent.connected_at,
        syscalls_sent=agent.syscalls_sent,
        responses_received=agent.responses_received,
        status=agent.status,
    )
