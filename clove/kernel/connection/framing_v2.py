"""Version 2 of the protocol: every payload bears a tag, and replies go out in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.framing import HEADER, MAGIC, TAG, TAGGED
from clove.kernel.connection.buffers import FEW, REQUEST, SMALL
from clove.kernel.connection.flow_control import LOST, Request
from clove.kernel.connection.framing_v1 import CONTROL, FLUSH
from clove.kernel.connection.stream import Stream
from clove.messages import encode_error

if TYPE_CHECKING:
    from clove.kernel.connection.connection import KernelConnection
    from clove.kernel.connection.limits import ConnectionLimits
    from clove.kernel.dispatch import Dispatcher

__all__ = ["FramingV2"]

_NUMBER = (1 << 62) - 1
_TAG_SIZE = TAG.size
_SMALL = _TAG_SIZE + SMALL
_number = TAG.unpack_from
_plain_header = HEADER.pack
_header = TAGGED.pack


class FramingV2:
    """Serves the requests of a connection that speaks version 2.

    @ivar current: None: no request holds others back.
    @ivar running: the replies to requests in work, by tag.
    @ivar few: so many that are small are not counted for the family, and none is refused.
    """

    version = 2
    current: Deferred[bytes] | None = None

    def __init__(
        self, connection: KernelConnection, dispatcher: Dispatcher, limits: ConnectionLimits
    ) -> None:
        self._connection = connection
        self._limits = limits
        self.few = min(FEW, limits.max_outstanding)
        self.running: dict[int, Deferred[bytes]] = {}
        self._request = 0, 0  # opcode and tag of what is being begun
        self._dispatcher = dispatcher
        self._stream_maker, self._push = self._make_stream, connection.push
        self._gathered: list[bytes] = []

    @property
    def outstanding(self) -> int:
        """Requests in work."""
        return len(self.running)

    def serve(self, frames: Iterator[Request], until: float) -> None:
        """Answer requests, as far as it goes; the rest is kept. Replies that are there go out together.

        @param until: when others are to have their turn.
        """
        connection, running, out = self._connection, self.running, self._gathered
        principal, now = connection.principal, connection.seconds
        agent_id = principal.agent_id
        noops = total = 0
        try:
            for frame in frames:
                _, opcode, payload = frame
                size = len(payload)
                # As `_begin` would, and the dispatcher: a NOOP's reply is its payload, tag included.
                if (
                    not (opcode or running)
                    and _TAG_SIZE <= size <= _SMALL
                    and 0 < _number(payload)[0] <= _NUMBER
                ):
                    noops += 1
                    out.append(_plain_header(MAGIC, agent_id, opcode, size))
                    out.append(payload)
                    total += size
                    if total < FLUSH:
                        continue
                else:
                    principal.syscalls += noops
                    noops = 0
                    total += self._gather(opcode, payload)
                    principal = connection.principal
                    agent_id = principal.agent_id
                if total >= FLUSH:
                    total = 0
                    self._flush()
                if not self._goes_on(connection, frames, bool(opcode) and now() > until):
                    break
        finally:
            principal.syscalls += noops
            self._flush()

    def _gather(self, opcode: int, payload: bytes) -> int:
        """Answer one request, or begin to; the reply goes out with others. How many bytes that has."""
        connection, reply = self._connection, self._begin(opcode, payload)
        if reply is None:
            return 0
        agent_id, size = connection.principal.agent_id, _TAG_SIZE + len(reply)
        self._gathered += _header(MAGIC, agent_id, opcode, size, self._request[1]), reply
        return size

    def _goes_on(self, connection: KernelConnection, frames: Iterator[Request], late: bool) -> bool:
        """Whether the next frame can be served here and now; else the rest is kept."""
        if connection.sender.congested or connection.closing:
            connection.flow.wait(frames)
        elif late:
            connection.flow.wait_in_turn(frames)
        else:
            return True
        return False

    def serve_one(self, opcode: int, payload: bytes) -> None:
        """Answer one request that nothing else waits with, or begin to."""
        reply, connection = self._begin(opcode, payload), self._connection
        if reply is not None and connection is not LOST:
            agent_id, size = connection.principal.agent_id, _TAG_SIZE + len(reply)
            header = _header(MAGIC, agent_id, opcode, size, self._request[1])
            connection.sender.send(header + reply)

    def answer(self, opcode: int, payload: bytes) -> bytes | None:
        """The reply to a request, with its tag; None: it is in work, or replied to."""
        reply = self._begin(opcode, payload)
        return None if reply is None else payload[:_TAG_SIZE] + reply

    def _begin(self, opcode: int, payload: bytes) -> bytes | None:
        """The reply to a request, if it is there at once and to be sent."""
        size = len(payload)
        if size < _TAG_SIZE:
            self.reply(opcode, 0, encode_error(InvalidRequest("the tag is missing")))
            return None
        number, body = _number(payload)[0], payload[_TAG_SIZE:]
        if self.running or size > _SMALL or not 0 < number <= _NUMBER:
            problem = self._problem(number, opcode, len(body))
            if problem is not None:
                self.reply(opcode, number & _NUMBER, encode_error(problem))
                return None
        connection = self._connection
        if opcode >= CONTROL:
            connection.control(opcode, number, body)
            return None
        self._request = opcode, number
        answer = self._dispatcher.answer
        reply = answer(connection.principal, opcode, body, self._stream_maker, self._push)
        if reply.__class__ is bytes:
            return reply
        self._track(opcode, number, cast("Deferred[bytes]", reply), len(body))
        return None

    def _make_stream(self) -> Stream:
        """For partial replies to the request that is being begun."""
        return Stream(self._connection.sender, self.reply, *self._request, self.reply_with)

    def _problem(self, number: int, opcode: int, size: int) -> CloveError | None:
        if not 0 < number <= _NUMBER:
            return InvalidRequest("a request's tag is a number from 1 to 2**62 - 1")
        if number in self.running:
            return InvalidRequest(f"request number {number} is outstanding already")
        if opcode >= CONTROL:
            return None
        if len(self.running) >= self._limits.max_outstanding:
            return LimitExceeded(
                f"{self._limits.max_outstanding} requests are outstanding on this connection",
                hint="wait for replies, or open another connection",
            )
        if size <= SMALL and len(self.running) < FEW:
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
        self.running[number] = reply
        buffered.in_work += size
        if size > SMALL or len(self.running) > FEW:
            buffered.count()

        def done(payload: bytes) -> None:
            self.running.pop(number, None)
            buffered.in_work -= size
            if buffered.counted:
                buffered.recount()
            if not connection.closing:
                self.reply(opcode, number, payload)
                if connection.half_closed:
                    connection.close_if_answered()

        reply.addCallback(done)

    def reply(self, opcode: int, number: int, payload: bytes) -> None:
        """Send a reply to a request, or part of one, behind those that were gathered."""
        if self._connection is LOST:  # a stream that has not noticed
            return
        self._flush()
        self._connection.sender.send(self._frame(opcode, number, payload))

    def reply_with(
        self, opcode: int, number: int, payload: bytes, descriptors: Sequence[int]
    ) -> bool:
        """Send part of a reply with descriptors; False if that has to wait.

        @raise OSError: they cannot be sent.
        """
        if self._connection is LOST:
            return True
        self._flush()
        frame = self._frame(opcode, number, payload)
        return self._connection.sender.send_descriptors(frame, descriptors)

    def _flush(self) -> None:
        connection = self._connection
        if connection is LOST:
            return
        if self._gathered:
            data = b"".join(self._gathered)
            self._gathered.clear()
            connection.sender.send(data)
        elif connection.compiled is not None:  # it may have gathered some
            connection.compiled.send_gathered(connection.sender)

    def _frame(self, opcode: int, number: int, payload: bytes) -> bytes:
        agent_id = self._connection.principal.agent_id
        size = TAG.size + len(payload)
        return _header(MAGIC, agent_id, opcode, size, number) + payload

    def cancel(self, body: bytes) -> bool:
        """Abandon a request; False if it is not outstanding.

        @raise InvalidRequest: this is no tag.
        """
        if len(body) != TAG.size:
            raise InvalidRequest("CANCEL takes the tag of a request, 8 bytes, on version 2")
        target = self.running.get(TAG.unpack(body)[0])
        if target is None:
            return False
        target.cancel()
        return True

    def end(self) -> None:
        """The connection is gone."""
        self._connection = self._stream_maker = self._push = LOST

    def take_running(self) -> list[Deferred[bytes]]:
        """What is in work, to be given up."""
        taken, self.running = list(self.running.values()), {}
        return taken
