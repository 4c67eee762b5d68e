"""A kernel beside which the tunnel runs: callers are handed over on its socket for them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.channels.channel import Channel
from clove.channels.multiplexed import MultiplexedChannel
from clove.channels.splice import Splice
from clove.channels.unix import UnixChannel, unix_socket
from clove.errors import CloveError, Unavailable
from clove.messages.relay import MOST_INTRODUCTION, Caller, Introduced, Introduction

__all__ = ["KernelSocket"]

SECONDS: Final = 10
"""For the kernel's answer to the first line."""


class KernelSocket:
    """Where the kernel listens for callers (`remote.socket` of its configuration)."""

    log = Logger()

    def __init__(self, reactor: Any, path: str) -> None:
        self._reactor = reactor
        self._path = path

    async def check(self) -> None:
        """Get through the kernel's dispatch.

        @raise Unavailable: it does not answer.
        """
        asked = await self._introduce("?", None)
        asked.transport.loseConnection()  # type: ignore[union-attr] # it is connected

    def hand_over(self, relay: str, caller: Caller, channel: Channel) -> None:
        """Have the kernel serve a caller; its channel ends if it does not.

        @param relay: the id of the relays that it comes from.
        """
        handing = Deferred.fromCoroutine(self._hand_over(relay, caller, channel))
        handing.addErrback(lambda failure: self.log.failure("a caller was lost", failure))

    async def _hand_over(self, relay: str, caller: Caller, channel: Channel) -> None:
        try:
            asked = await self._introduce(relay, caller)
        except CloveError as error:
            self.log.warn("a caller is not served: {error}", error=error.message)
            if isinstance(channel, MultiplexedChannel):
                channel.refuse(error.message)
            else:
                channel.abort()
            return
        Splice(channel, asked.as_channel())

    async def _introduce(self, relay: str, caller: Caller | None) -> _Asking:
        line = msgspec.json.encode(Introduction(relay=relay, caller=caller)) + b"\n"
        endpoint = UNIXClientEndpoint(self._reactor, self._path, SECONDS)
        try:
            asked: _Asking = await connectProtocol(endpoint, _Asking(line))
        except (ConnectError, OSError) as error:
            raise Unavailable(
                f"the kernel does not answer on {self._path}: {error}",
                hint="is remote.socket in its configuration?",
            ) from None
        asked.answered.addTimeout(SECONDS, self._reactor, _late)
        try:
            await asked.answered
        except CloveError:
            asked.transport.abortConnection()  # type: ignore[union-attr] # it was connected
            raise
        return asked


class _Asking(Protocol):
    """A connection: the first line, its answer, then a channel.

    @ivar answered: fires when the kernel serves.
    """

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._answer = b""
        self._channel: UnixChannel | None = None
        self.answered: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """The kernel listens."""
        assert self.transport is not None
        self.transport.write(self._line)

    def dataReceived(self, data: bytes) -> None:
        """A piece of the answer."""
        self._answer += data
        line, end, rest = self._answer.partition(b"\n")
        if self.answered.called or not (end or len(line) > MOST_INTRODUCTION):
            return
        try:
            error = msgspec.json.decode(line, type=Introduced).error if not rest else "too much"
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            error = "its answer makes no sense"
        if error:
            self.answered.errback(Unavailable(f"the kernel does not serve: {error}"))
        else:
            self.answered.callback(None)

    def as_channel(self) -> UnixChannel:
        """What the caller and the kernel say to each other from now on."""
        end = unix_socket(self.transport)
        assert end is not None
        self._channel = UnixChannel(self.transport, end)
        return self._channel

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The kernel has closed it, or we have."""
        if self._channel is not None:
            self._channel.transport_lost()
        elif not self.answered.called:
            self.answered.errback(Unavailable("the kernel has closed the connection"))


def _late(result: object, seconds: float) -> Any:
    raise Unavailable(f"the kernel has not answered in {seconds:g} s")
