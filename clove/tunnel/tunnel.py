"""A kernel's link to its relay, kept up for as long as the kernel runs.

The link outlives its connections: after a cut the next one resumes it, and no byte of a channel is
lost or doubled. A connection that is dead without saying so (after a laptop's sleep, say) is found by
L{clove.tunnel.liveness.Liveness}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.logger import Logger

from clove.channels.multiplex import LinkLimits
from clove.channels.session import BrokenLink
from clove.errors import CloveError
from clove.messages.relay import AuthOk, Caller, KernelAuth
from clove.tunnel.backoff import Backoff
from clove.tunnel.dialling import late, open_socket
from clove.tunnel.handshake import Handshake, Refused
from clove.tunnel.identity import OtherRelay
from clove.tunnel.kept_link import KeptLink
from clove.tunnel.liveness import Liveness

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from clove.channels.channel import Channel
    from clove.channels.websocket_messages import MessageSocket
    from clove.tunnel.identity import Identity
    from clove.tunnel.target import Target

__all__ = ["Tunnel"]

HANDSHAKE_SECONDS: Final = 20.0
"""For connecting, and for the first messages."""
_NOT_KNOWN: Final = frozenset({"wrong_key", "not_authenticated", "locked_out"})
"""Codes of a relay that does not know this machine, and will not before somebody has done something."""


class Tunnel:
    """Dials a relay, proves who we are and serves the channels that it opens.

    @param endpoint: of the relay, TLS included.
    @param accept: takes what the relay says of a caller, and its channel.
    @param alive: gets through the kernel's dispatch.
    @param in_thread: runs what blocks.
    @param facts: what the registry shows of this machine: versions and isolation.
    @param random: a number from 0 up to 1.
    @ivar connected: the relay has let us in, and the connection stands.
    @ivar changed: when that came to be so, in seconds of `wall`.
    @ivar problem: why there is no connection.
    @ivar relay_id: of the relay that has let us in; "" before one has.
    @ivar joined: called whenever the relay has, and its id is kept.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        target: Target,
        identity: Identity,
        endpoint: IStreamClientEndpoint,
        *,
        accept: Callable[[Caller, Channel], object],
        alive: Callable[[], Awaitable[object]],
        in_thread: Callable[..., Awaitable[Any]],
        wall: Callable[[], float],
        random: Callable[[], float],
        facts: dict[str, Any] | None = None,
        limits: LinkLimits | None = None,
    ) -> None:
        self.target = target
        self.connected = False
        self.changed = wall()
        self.problem = ""
        self.relay_id = ""
        self.joined: Callable[[], object] = lambda: None
        self._reactor = reactor
        self._identity = identity
        self._endpoint = endpoint
        self._in_thread = in_thread
        self._wall = wall
        self._facts = facts or {}
        self._backoff = Backoff(random)
        self._link = KeptLink(reactor, accept, alive, self._move, limits)
        self._liveness = Liveness(reactor, wall, self._link.probe, self._cut)
        self._socket: MessageSocket | None = None
        self._running: Deferred[None] | None = None

    @property
    def channels(self) -> int:
        """Of remote callers, now."""
        return self._link.channels

    def start(self) -> None:
        """Begin to connect, and connect again whenever it is cut."""
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._stopped)

    def stop(self) -> None:
        """Close the connection, and tell the relay; its channels are lost. Idempotent."""
        socket, self._socket = self._socket, None
        if socket is not None:
            self._link.leave()
            socket.receiver = None  # what serves it is cancelled here
            socket.end("the tunnel was closed")
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        self._liveness.stop()
        self._link.stop()
        self._note(connected=False, problem="stopped")

    def _stopped(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("the tunnel has ended", failure)

    # the loop

    async def _run(self) -> None:
        while True:
            refused = False
            try:
                problem = await self._serve_renewed()
            except (CloveError, ConnectError, OSError, BrokenLink) as error:
                problem = _words(error)
                refused = isinstance(error, Refused) and error.reason in _NOT_KNOWN
            if problem != self.problem:
                self.log.warn(
                    "no tunnel to {relay}: {problem}", relay=self.target.url, problem=problem
                )
            self._note(connected=False, problem=problem)
            await deferLater(self._reactor, self._backoff.next_pause(refused=refused))

    async def _serve_renewed(self) -> str:
        try:
            return await self._serve_once()
        except OtherRelay:
            await self._in_thread(self._identity.renew)
            self._link.end("the machine joins another relay")
            return await self._serve_once()

    async def _serve_once(self) -> str:
        """Connect, serve until the connection is gone; why it is."""
        socket = await open_socket(
            self._reactor, self._endpoint, self.target.url, HANDSHAKE_SECONDS
        )
        try:
            handshake = Handshake(socket, self._identity, self.target, self._first())
            handshake.done.addTimeout(HANDSHAKE_SECONDS, self._reactor, late)
            answer = await handshake.done
            self.relay_id = handshake.relay_id
            gone = self._attach(socket, answer)
            self._backoff.succeeded()
            await self._joined(handshake.relay_id)
            return await gone
        finally:
            self._liveness.stop()
            socket.abort()

    def _first(self) -> KernelAuth:
        return KernelAuth(
            machine_id=self.target.machine_id,
            protocol_version=2,
            public_key=self._identity.public_key,
            instance=self._identity.instance,
            join_token=self.target.join_token,
            **self._link.resumes,
            **self._facts,
        )

    def _attach(self, socket: MessageSocket, answer: AuthOk) -> Deferred[str]:
        """Serve over a connection; fires with the reason when it is gone."""
        gone: Deferred[str] = Deferred()
        self._socket = socket

        def closed(reason: str) -> None:
            self._socket = None
            if not gone.called:
                gone.callback(reason)

        self._link.attach(socket, answer, closed)
        self._note(connected=True, problem="")
        self.log.info("tunnel to {relay}", relay=self.target.url)
        self._liveness.start(answer.ping_seconds, lambda: self._link.messages)
        return gone

    async def _joined(self, relay_id: str) -> None:
        """The relay has taken us in: the join token was used up, and its id is kept."""
        try:
            await self._in_thread(self._identity.pin, relay_id)
        except OSError as error:
            self.log.error("the relay's id cannot be kept: {error}", error=error)
        else:
            self.target = msgspec.structs.replace(self.target, join_token="")
            self.joined()

    def _move(self) -> None:
        """The relay is about to stop, and nothing is under way through it any more."""
        if self._socket is not None:
            self._socket.end("the relay stops")

    def _cut(self) -> None:
        if self._socket is not None:
            self.log.warn("the relay does not answer: connecting again")
            self._socket.abort()

    def _note(self, *, connected: bool, problem: str) -> None:
        if connected != self.connected:
            self.changed = self._wall()
        self.connected, self.problem = connected, problem


def _words(error: BaseException) -> str:
    hint = getattr(error, "hint", "")
    reason = error.strerror if isinstance(error, OSError) else ""
    return f"{reason or error}" + (f" ({hint})" if hint else "")
