"""Version 2 of the protocol: every payload bears a tag, and replies go out in any order."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.framing import HEADER, MAGIC, TAG
from clove.kernel.connection.flow_control import FEW, LOST, REQUEST, SMALL, Request
from clove.kernel.connection.framing_v1 import CONTROL
from clove.kernel.connection.stream import Stream
from clove.messages import encode_error

if TYPE_CHECKING:
    from clove.kernel.connection.connection import KernelConnection
    from clove.kernel.connection.limits import ConnectionLimits
    from clove.kernel.dispatch import Dispatcher

__all__ = ["FramingV2"]

_NUMBER = (1 << 62) - 1


class FramingV2:
    """Serves the requests of a connection that speaks version 2.

    @ivar current: None: no request holds others back.
    """

    version = 2
    current: Deferred[bytes] | None = None

    def __init__(
        self, connection: KernelConnection, dispatcher: Dispatcher, limits: ConnectionLimits
    ) -> None:
        self._connection = connection
        self._dispatcher = dispatcher
        self._limits = limits
        self._running: dict[int, Deferred[bytes]] = {}

    @property
    def outstanding(self) -> int:
        """Requests in work."""
        return len(self._running)

    def serve(self, frames: Iterator[Request], until: float) -> None:
        """Answer requests, as far as it goes; the rest is kept.

        @param until: when others are to have their turn.
        """
        connection = self._connection
        for frame in frames:
            _, opcode, payload = frame
            self._serve_one(opcode, payload)
            if connection.sender.congested or connection.closing:
                connection.flow.wait(frames)
                break
            if opcode and connection.seconds() > until:
                connection.flow.wait_in_turn(frames)
                break

    def _serve_one(self, opcode: int, payload: bytes) -> None:
        if len(payload) < TAG.size:
            self.reply(opcode, 0, encode_error(InvalidRequest("the tag is missing")))
            return
        number, body = TAG.unpack_from(payload)[0], payload[TAG.size :]
        problem = self._problem(number, opcode, len(body))
        if problem is not None:
            self.reply(opcode, number & _NUMBER, encode_error(problem))
            return
        connection = self._connection
        if opcode >= CONTROL:
            connection.control(opcode, number, body)
            return
        ends = connection.sender, self.reply, opcode, number, self.reply_with
        stream = functools.partial(Stream, *ends)
        answer = self._dispatcher.answer
        reply = answer(connection.principal, opcode, body, stream, connection.push)
        if isinstance(reply, bytes):
            self.reply(opcode, number, reply)
        else:
            self._track(opcode, number, reply, len(body))

    def _problem(self, number: int, opcode: int, size: int) -> CloveError | None:
        if not 0 < number <= _NUMBER:
            return InvalidRequest("a request's tag is a number from 1 to 2**62 - 1")
        if number in self._running:
            return InvalidRequest(f"request number {number} is outstanding already")
        if opcode >= CONTROL:
            return None
        if len(self._running) >= self._limits.max_outstanding:
            return LimitExceeded(
                f"{self._limits.max_outstanding} requests are outstanding on this connection",
                hint="wait for replies, or open another connection",
            )
        if size <= SMALL and len(self._running) < FEW:
            return None
        flow = self._connection.flow
        if size > SMALL and flow.held_by_all() + size > self._limits.held:
            return LimitExceeded(
                f"your outstanding requests have {self._limits.held} bytes",
                hint="wait for replies",
            )
        return flow.buffered.refusal(size + REQUEST)

    def _track(self, opcode: int, number: int, reply: Deferred[bytes], size: int) -> None:
        """The reply goes out whenever it is there."""
        connection, buffered = self._connection, self._connection.flow.buffered
        self._running[number] = reply
        buffered.in_work += size
        if size > SMALL or len(self._running) > FEW:
            buffered.count()

        def done(payload: bytes) -> None:
            self._running.pop(number, None)
            buffered.in_work -= size
            if buffered.counted:
                buffered.recount()
            if not connection.closing:
                self.reply(opcode, number, payload)

        reply.addCallback(done)

    def reply(self, opcode: int, number: int, payload: bytes) -> None:
        """Send a reply to a request, or part of one."""
        if self._connection is LOST:  # a stream that has not noticed
            return
        self._connection.sender.send(self._frame(opcode, number, payload))

    def reply_with(
        self, opcode: int, number: int, payload: bytes, descriptors: Sequence[int]
    ) -> bool:
        """Send part of a reply with descriptors; False if that has to wait.

        @raise OSError: they cannot be sent.
        """
        if self._connection is LOST:
            return True
        frame = self._frame(opcode, number, payload)
        return self._connection.sender.send_descriptors(frame, descriptors)

    def _frame(self, opcode: int, number: int, payload: bytes) -> bytes:
        agent_id = self._connection.principal.agent_id
        header = HEADER.pack(MAGIC, agent_id, opcode, TAG.size + len(payload))
        return header + TAG.pack(number) + payload

    def cancel(self, body: bytes) -> bool:
        """Abandon a request; False if it is not outstanding.

        @raise InvalidRequest: this is no tag.
        """
        if len(body) != TAG.size:
            raise InvalidRequest("CANCEL takes the tag of a request, 8 bytes, on version 2")
        target = self._running.get(TAG.unpack(body)[0])
        if target is None:
            return False
        target.cancel()
        return True

    def end(self) -> None:
        """The connection is gone."""
        self._connection = LOST

    def take_running(self) -> list[Deferred[bytes]]:
        """What is in work, to be given up."""
        taken, self._running = list(self._running.values()), {}
        return taken
