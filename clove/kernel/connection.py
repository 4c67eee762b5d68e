"""One connection to the kernel: frames in, replies out, in the right order.

Version 1 answers in the order of the requests: one that takes time holds the
later ones back. Version 2 tags every payload and answers in any order. Who is
asking was decided when the connection was accepted; the id in a request is
never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone

from clove._version import __version__
from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.framing import (
    HEADER,
    MAGIC,
    TAG,
    BadFrame,
    Frame,
    Opcode,
    TooLarge,
    encode,
)
from clove.kernel.paced_connection import FEW, REQUEST, SMALL, PacedConnection, Request
from clove.kernel.shares import OPERATORS
from clove.kernel.stream import Stream
from clove.messages import Reply, decode, encode_error
from clove.messages import encode as encode_json
from clove.messages.session import HelloReply, HelloRequest
from clove.outgoing import unix_socket

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from clove.kernel.connection_limits import ConnectionLimits
    from clove.kernel.dispatch import Dispatcher
    from clove.kernel.sessions import Sessions

__all__ = ["FEATURES", "KernelConnection"]

FEATURES = ["tags", "streaming", "push", "cancel", "resume", "async"]
_NUMBER = (1 << 62) - 1
_FLUSH = 256 << 10
_OPERATORS_TURN = 0.005  # seconds that an operator's connection is served before the others are
_CONTROL = int(Opcode.CANCEL)


class KernelConnection(PacedConnection):
    """The kernel's end of one connection."""

    def __init__(
        self, dispatcher: Dispatcher, sessions: Sessions, limits: ConnectionLimits
    ) -> None:
        super().__init__(sessions, limits)
        self._dispatcher = dispatcher
        self._tagged = False
        self._resume = ""

    def connectionMade(self) -> None:
        """Find out who this is; refuse a stranger with one error reply."""
        super().connectionMade()
        try:
            self.principal = self._sessions.accept(self)
            self._shares_time = self.principal.family != OPERATORS
            if self._shares_time and unix_socket(self.transport) is not None:
                transport = cast("Any", self.transport)
                self._read, transport.doRead = transport.doRead, self._read_in_share
        except CloveError as error:
            self._closing = True
            self.send(encode(0, Opcode.HELLO, encode_error(error, HelloReply)))
            self.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Abandon what this connection asked for."""
        super().connectionLost(reason)
        self._closing = True
        self._abandon()
        if self._buffered.counted:
            self._buffered.release(self.principal.family)
        closed = getattr(self.transport, "closed", None)
        if closed is not None and self._is_agent():
            # It has its connections until they are really closed, or it could have any number.
            closed.addCallback(lambda _: self._sessions.release(self, ""))
        else:
            self._sessions.release(self, self._resume)

    # receiving

    def framesReceived(self, frames: list[Frame]) -> None:
        """Serve frames, or keep them until their turn."""
        self.received += len(frames)
        if self._buffered.counted or self.decoder.pending > SMALL:
            self._count()
        if self._closing:
            return
        if self._inbox or self._is_held():
            self._wait(frames)
            return
        if (
            self._shares_time
            and self._begun is None
            and not self._time.may(self.principal.family, self._clock.seconds())
        ):
            self._wait(frames)
            self._wait_for_turn()
            return
        self._serve(iter(frames))

    def _serve(self, frames: Iterator[Request]) -> None:
        out: list[bytes] = []
        size = 0
        answer = self._dispatcher.answer
        pack = HEADER.pack
        agent_id = self.principal.agent_id
        now = self._clock.seconds
        begun = now()
        until = begun + (self._limits.family_turn if self._shares_time else _OPERATORS_TURN)
        for frame in frames:
            _, opcode, payload = frame
            if not self._tagged and opcode < _CONTROL:
                reply = answer(self.principal, opcode, payload)
                if reply.__class__ is bytes:
                    length = len(reply)
                    out.append(pack(MAGIC, agent_id, opcode, length))
                    out.append(reply)
                    size += length
                    if size < _FLUSH and (not opcode or now() <= until):
                        continue
                    size = 0
                    self._flush(out)
                else:
                    self._flush(out)
                    self._hold(opcode, cast("Deferred[bytes]", reply), len(payload))
            else:
                self._flush(out)
                self._serve_one(opcode, payload)
                agent_id = self.principal.agent_id
            if self.congested or self._current is not None or self._closing:
                self._wait(frames)
                break
            if opcode and now() > until:
                self._wait(frames)
                if self._inbox:
                    self._wait_for_turn()
                break
        if out:
            self._flush(out)
        if self._shares_time:
            ended = now()
            if self._begun is not None:
                begun, self._begun = self._begun, None
            self._time.spend(self.principal.family, ended - begun, ended)

    def _flush(self, out: list[bytes]) -> None:
        if out:
            data = b"".join(out)
            out.clear()
            self.send(data)

    def _header(self, opcode: int, size: int) -> bytes:
        return HEADER.pack(MAGIC, self.principal.agent_id, opcode, size)

    def _serve_one(self, opcode: int, body: bytes) -> None:
        """A frame of version 2, or one that concerns the connection itself."""
        number = 0
        if self._tagged:
            if len(body) < TAG.size:
                self._reply(opcode, 0, encode_error(InvalidRequest("the tag is missing")))
                return
            number, body = TAG.unpack_from(body)[0], body[TAG.size :]
            problem = self._problem(number, opcode, len(body))
            if problem is not None:
                self._reply(opcode, number & _NUMBER, encode_error(problem))
                return
        if opcode >= _CONTROL:
            self._control(opcode, number, body)
            return
        stream = Stream(self, self._reply, opcode, number)
        reply = self._dispatcher.answer(self.principal, opcode, body, stream, self.push)
        if isinstance(reply, bytes):
            self._reply(opcode, number, reply)
        else:
            self._track(opcode, number, reply, len(body))

    def _problem(self, number: int, opcode: int, size: int) -> CloveError | None:
        if not 0 < number <= _NUMBER:
            return InvalidRequest("a request's tag is a number from 1 to 2**62 - 1")
        if number in self._running:
            return InvalidRequest(f"request number {number} is outstanding already")
        if opcode >= _CONTROL:
            return None
        if len(self._running) >= self._limits.max_outstanding:
            return LimitExceeded(
                f"{self._limits.max_outstanding} requests are outstanding on this connection",
                hint="wait for replies, or open another connection",
            )
        if size <= SMALL and len(self._running) < FEW:
            return None
        if size > SMALL and self._held_by_all() + size > self._limits.held:
            return LimitExceeded(
                f"your outstanding requests have {self._limits.held} bytes",
                hint="wait for replies",
            )
        return self._sessions.buffers.refusal(self.principal.family, size + REQUEST)

    # requests that take time

    def _hold(self, opcode: int, reply: Deferred[bytes], size: int) -> None:
        """Version 1: later requests wait for this one."""
        self._current = reply
        self._buffered.in_work += size

        def done(payload: bytes) -> None:
            self._current = None
            self._buffered.in_work -= size
            if self._buffered.counted:
                self._count()
            if not self._closing:
                self._reply(opcode, 0, payload)
                self._go_on()

        reply.addCallback(done)
        if size > SMALL and self._current is not None:
            self._close_if_full()

    def _track(self, opcode: int, number: int, reply: Deferred[bytes], size: int) -> None:
        """Version 2: the reply goes out whenever it is there."""
        self._running[number] = reply
        self._buffered.in_work += size
        if size > SMALL or len(self._running) > FEW:
            self._count()

        def done(payload: bytes) -> None:
            self._running.pop(number, None)
            self._buffered.in_work -= size
            if self._buffered.counted:
                self._count()
            if not self._closing:
                self._reply(opcode, number, payload)

        reply.addCallback(done)

    # the connection's own requests

    def _control(self, opcode: int, number: int, body: bytes) -> None:
        self.principal.syscalls += 1
        try:
            if opcode == Opcode.HELLO:
                self._hello(number, body)
            elif opcode == Opcode.EXIT:
                self._reply(opcode, number, b"goodbye")
                self._closing = True
                self._set_token("")
            else:
                self._cancel(number, body)
        except CloveError as error:
            kind = HelloReply if opcode == Opcode.HELLO else None
            self._reply(opcode, number, encode_error(error, kind))

    def _hello(self, number: int, body: bytes) -> None:
        request = decode(HelloRequest, body)
        if request.resume:
            self.principal = self._sessions.resume(self, request.resume)
            self._set_token("")
        version = 2 if self._tagged else min(request.protocol_version, 2)
        if version == 2 and not self._resume:
            self._set_token(self._sessions.token(self))
        reply = HelloReply(
            protocol_version=version,
            kernel_version=__version__,
            features=FEATURES,
            agent_id=self.principal.agent_id,
            resume=self._resume,
        )
        self._reply(Opcode.HELLO, number, encode_json(reply))
        if version == 2 and not self._tagged:
            self._tagged = True
            self.decoder.max_payload += TAG.size

    def _set_token(self, token: str) -> None:
        """The only token that resumes this connection."""
        self._sessions.forget(self._resume)
        self._resume = token

    def _cancel(self, number: int, body: bytes) -> None:
        if not self._tagged or len(body) != TAG.size:
            raise InvalidRequest("CANCEL takes the tag of a request, 8 bytes, on version 2")
        target = self._running.get(TAG.unpack(body)[0])
        if target is not None:
            target.cancel()
        done = b"true" if target is not None else b"false"
        self._reply(Opcode.CANCEL, number, b'{"success":true,"cancelled":' + done + b"}")

    # sending

    def _reply(self, opcode: int, number: int, payload: bytes) -> None:
        if self._tagged:
            payload = TAG.pack(number) + payload
        self.send(self._header(opcode, len(payload)) + payload)

    def push(self, message: Reply) -> bool:
        """Send an unasked frame; False if the peer does not keep up or is gone."""
        if (
            self._closing
            or not self._tagged
            or (self.congested and self.unsent > self.resume_below)
        ):
            return False
        self._reply(Opcode.EMIT, 0, encode_json(message))
        return True

    # ends

    def frameBroken(self, error: BadFrame) -> None:
        """One error reply, then the connection closes; what follows is thrown away."""
        if self._closing:
            return
        kind = LimitExceeded if isinstance(error, TooLarge) else InvalidRequest
        self.refuse(error.opcode, kind(error.message, hint="see the frame format in docs/wire.md"))

    def refuse(self, opcode: int, error: CloveError) -> None:
        """Send an error and close."""
        self._reply(opcode, 0, encode_error(error))
        self._closing = True
        self.finish()

    def close(self, *, silently: bool = False) -> None:
        """Give up what is in work, send what is buffered, then close.

        @param silently: nobody reads what becomes of what is given up.
        """
        self._closing = self._closing or silently
        self._abandon()
        self._closing = True
        self.finish()
