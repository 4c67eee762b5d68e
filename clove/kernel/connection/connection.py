"""One connection to the kernel: frames in, replies out.

A request goes from the channel to the decoder, through flow control (L{FlowControl}) to the
framing of the connection's version (L{FramingV1}, L{FramingV2}), which asks the dispatcher and
sends the reply. The principal was decided when the connection was accepted; the id in a request
is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove._version import __version__
from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.framing import (
    HEADER,
    HEADER_SIZE,
    MAGIC,
    TAG,
    BadFrame,
    FrameDecoder,
    Opcode,
    TooLarge,
    encode,
)
from clove.kernel.connection.compiled import read_compiled
from clove.kernel.connection.flow_control import FlowControl
from clove.kernel.connection.framing_v1 import CONTROL, FramingV1
from clove.kernel.connection.framing_v2 import FramingV2
from clove.messages import Reply, decode, encode_error
from clove.messages import encode as encode_json
from clove.messages.session import HelloReply, HelloRequest

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from clove.channels.channel import Channel
    from clove.kernel.compiled import Compiled
    from clove.kernel.connection.limits import ConnectionLimits
    from clove.kernel.credentials import Credentials
    from clove.kernel.dispatch import Dispatcher
    from clove.kernel.principal import Principal
    from clove.kernel.principals import Principals

__all__ = ["FEATURES", "KernelConnection"]

_header = HEADER.unpack_from
FEATURES = ["tags", "streaming", "push", "cancel", "resume", "async"]


class KernelConnection:
    """The kernel's end of one connection.

    @ivar principal: the caller; there is none where the peer was refused.
    @ivar closing: nothing more is served.
    @ivar half_closed: nothing more can come, and the peer is answered yet.
    @ivar seconds: the time, monotonic.
    @ivar compiled: reads and serves what it can (docs/compiled.md); None: there is none.
    """

    principal: Principal

    def __init__(
        self,
        dispatcher: Dispatcher,
        principals: Principals,
        limits: ConnectionLimits,
        channel: Channel,
        compiled: Compiled | None = None,
    ) -> None:
        self.channel = channel
        self.compiled = compiled
        self._dispatcher = dispatcher
        self._principals = principals
        self._limits = limits
        self.decoder = FrameDecoder(limits.max_payload)
        self.seconds = principals.clock.seconds
        self.closing = self.half_closed = False
        self.flow = FlowControl(self, channel, principals, limits)
        self.sender = self.flow.sender
        self.framing: FramingV1 | FramingV2 = FramingV1(self, dispatcher)
        self._resume = ""
        self._broken: BadFrame | None = None  # what came last
        self._cut_off: IDelayedCall | None = None
        self._seen = (-1, 0, False)
        self._since = 0.0

    def open(self, identify: Callable[[], Credentials]) -> None:
        """Identify the peer and serve it; refuse a stranger with one error reply.

        @param identify: gives the verified credentials of the channel's peer, or raises a
            L{CloveError}.
        """
        self.channel.deliver_to(self)
        try:
            self.principal = self._principals.enter(identify(), self)
        except CloveError as error:
            self.closing = True
            self.sender.send(encode(0, Opcode.HELLO, encode_error(error, HelloReply)))
            # It is not checked for time-outs, and a peer may leave its half of a close undone.
            self._cut_off = self._principals.clock.callLater(
                self._limits.frame_timeout, self.channel.abort
            )
            self.channel.close()
        else:
            self.channel.on_half_close(self.ended)
            if self.compiled is not None and self.channel.descriptor is not None:
                read_compiled(self.compiled, self, self.channel.descriptor, self._principals.time)
            self.flow.begin(self.principal)

    # what the channel tells

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if len(data) >= HEADER_SIZE:
            magic, _, opcode, size = _header(data)
            if (
                size + HEADER_SIZE == len(data)
                and size <= self.decoder.max_payload
                and magic == MAGIC
                and opcode < CONTROL
                and self.flow.is_free()
            ):
                self.flow.serve_one(opcode, data[HEADER_SIZE:])
                return
        try:
            frames = self.decoder.feed(data)
        except BadFrame as error:
            self.channel.pause()
            self._broken, self.half_closed = error.with_traceback(None), True  # no cycle
            self.flow.receive(vars(error).pop("frames", []))
            self.close_if_answered()
            return
        self.flow.receive(frames)  # type: ignore[arg-type]  # a Frame is such a tuple

    def descriptors_received(self) -> None:
        """The peer attached descriptors."""
        self._break(BadFrame("descriptors are not accepted here"))

    def ended(self) -> None:
        """The peer sends no more: what it has asked for is answered, then the connection is closed."""
        self.half_closed = True
        if self.closing:  # after an EXIT, which leaves the end to the peer
            self.channel.close()
        self.close_if_answered()

    def read_on(self) -> None:
        """All that was read is served: go on reading, if more can come."""
        if self.half_closed:
            self.close_if_answered()
        else:
            self.channel.resume()

    def close_if_answered(self) -> None:
        """Close, if nothing is left to be answered to a peer that asks for no more."""
        framing, flow = self.framing, self.flow
        if self.closing or flow.serving or flow.buffered.queued or framing.current is not None:
            return
        if self._broken is not None:
            self._break(self._broken)
            return
        if framing.outstanding:
            return
        if self.decoder.pending:
            hint = "send the whole frame before the sending half is shut down"
            self.refuse(0, InvalidRequest("the last frame is cut off", hint=hint))
            return
        self.closing = True
        self.channel.close()

    def drained(self) -> None:
        """The peer has read everything: go on."""
        if self.sender.drained():
            self.flow.buffered.recount()
            if not self.closing:
                self.flow.go_on()

    def lost(self) -> None:
        """Abandon what this connection asked for."""
        self.sender.lost()
        self.closing = True
        self.half_closed = False  # its channel's close may take long, and can be asked for nothing
        if self._cut_off is not None and self._cut_off.active():
            self._cut_off.cancel()
        self._cut_off = None
        self.flow.end()
        self.framing.end()
        self._principals.leave(self, self._resume)

    # the connection's own requests

    def control(self, opcode: int, number: int, body: bytes) -> None:
        """Serve HELLO, CANCEL or EXIT."""
        self.principal.syscalls += 1
        try:
            if opcode == Opcode.HELLO:
                self._hello(number, body)
            elif opcode == Opcode.EXIT:
                self.framing.reply(opcode, number, b"goodbye")
                self.closing = True
                self._set_token("")
            else:
                done = b"true" if self.framing.cancel(body) else b"false"
                reply = b'{"success":true,"cancelled":' + done + b"}"
                self.framing.reply(opcode, number, reply)
        except CloveError as error:
            kind = HelloReply if opcode == Opcode.HELLO else None
            self.framing.reply(opcode, number, encode_error(error, kind))

    def _hello(self, number: int, body: bytes) -> None:
        request = decode(HelloRequest, body)
        if request.resume:
            self.principal = self._principals.resume(self, request.resume)
            self._set_token("")
        version = max(self.framing.version, min(request.protocol_version, 2))
        if not self._resume:
            self._set_token(self._principals.token(self))
        reply = HelloReply(
            protocol_version=version,
            kernel_version=__version__,
            features=FEATURES,
            agent_id=self.principal.agent_id,
            resume=self._resume,
        )
        self.framing.reply(Opcode.HELLO, number, encode_json(reply))
        if version > self.framing.version:
            self.framing = FramingV2(self, self._dispatcher, self._limits)
            self.decoder.max_payload += TAG.size

    def _set_token(self, token: str) -> None:
        """The only token that resumes this connection."""
        self._principals.forget(self._resume)
        self._resume = token

    # sending

    def push(self, message: Reply) -> bool:
        """Send an unasked frame; False if the peer does not keep up or is gone."""
        if self.closing or self.framing.version < 2 or self.sender.is_behind:
            return False
        self.framing.reply(Opcode.EMIT, 0, encode_json(message))
        return True

    # ends

    def _break(self, error: BadFrame) -> None:
        """One error reply, then the connection closes; what follows is thrown away."""
        if self.closing:
            return
        kind = LimitExceeded if isinstance(error, TooLarge) else InvalidRequest
        self.refuse(error.opcode, kind(error.message, hint="see the frame format in docs/wire.md"))

    def refuse(self, opcode: int, error: CloveError) -> None:
        """Send an error and close."""
        self.framing.reply(opcode, 0, encode_error(error))
        self.closing = True
        self.channel.close()

    def close(self, *, silently: bool = False) -> None:
        """Give up what is in work, send what is buffered, then close.

        @param silently: the results of what is given up are read by nothing.
        """
        self.closing = self.closing or silently
        self.flow.abandon()
        self.closing = True
        self.channel.close()

    def check(self, now: float) -> None:
        """Enforce the time-outs; called about once a second.

        @param now: seconds, monotonic.
        """
        self.flow.buffered.recount()
        held_back = self.half_closed or self.framing.current is not None  # nothing need be read
        if held_back and self.channel.hung_up:
            self.channel.abort()
            return
        mark = (self.flow.received, self.sender.unsent, bool(self.decoder.pending))
        if mark != self._seen:
            self._seen = mark
            self._since = now
            return
        waited = now - self._since
        limits = self._limits
        if self.closing:
            if waited > limits.frame_timeout:
                self.channel.abort()
        elif self.sender.congested:
            if waited > limits.write_timeout:
                self.channel.abort()
        elif (
            self.decoder.pending and not self.flow.buffered.queued and self.framing.current is None
        ):
            if waited > limits.frame_timeout:
                self.refuse(0, InvalidRequest("the frame did not arrive in time"))
        elif limits.idle_timeout and waited > limits.idle_timeout and not self.framing.outstanding:
            self.channel.close()
