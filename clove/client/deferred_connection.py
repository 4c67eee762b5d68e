"""The Deferred client's connection, which is made anew when it was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from clove.client.dialling import Attempts
from clove.client.exchange import Closed, Exchange, lost_in_flight
from clove.client.limits import ClientLimits
from clove.client.link import Link, Partial
from clove.client.methods import work
from clove.client.reaching import Reaching
from clove.errors import ConnectionLost, LimitExceeded

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

__all__ = ["DeferredConnection"]


class DeferredConnection:
    """At most one live link to the kernel, and the token that resumes its identity.

    @param paths: the sockets to try.
    @param endpoint: tried instead of them.
    @param pushed: takes the payload of frames that answer no request.
    @param pushing_lost: told when the link of L{pushes_on} is lost, and was not closed here.
    @param bounded: puts the client's time-out on a Deferred.
    @ivar socket_path: where the kernel was reached last; before that the first of `paths`.
    @ivar link: the last link, which may be lost; None before the first and after `close`.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        paths: tuple[str, ...],
        endpoint: IStreamClientEndpoint | None,
        limits: ClientLimits,
        *,
        pushed: Partial,
        pushing_lost: Callable[[ConnectionLost], object] = lambda reason: None,
        bounded: Callable[[Deferred[bytes]], Deferred[bytes]],
    ) -> None:
        self.socket_path = paths[0]
        self.link: Link | None = None
        self._reactor = reactor
        self._paths = paths
        self._endpoint = endpoint
        self._limits = limits
        self._pushed = pushed
        self._pushing: Link | None = None
        self._pushing_lost = pushing_lost
        self._reaching = Reaching(
            self._dial,
            lambda link, token: bounded(link.greet(token)),
            lambda pause: deferLater(reactor, pause),
            limits,
        )
        self._opening: Deferred[None] | None = None
        self._waiting: list[Deferred[Link]] = []

    @property
    def is_alive(self) -> bool:
        """Whether there is a live link."""
        return self.link is not None and self.link.alive

    @property
    def exchange(self) -> Exchange | None:
        """The last link's; None before the first and after `close`."""
        return None if self.link is None else self.link.exchange

    def live_link(self) -> Deferred[Link]:
        """The live link; connects if there is none. Several may wait for one attempt.

        @raise LimitExceeded: too many wait already.
        """
        if self.link is not None and self.link.alive:
            return succeed(self.link)
        if len(self._waiting) >= self._limits.outstanding:
            raise LimitExceeded(f"{self._limits.outstanding} calls wait for a connection already")
        waiter: Deferred[Link] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        if self._opening is None:
            opening = Deferred.fromCoroutine(self._open(again=self.link is not None))
            if self._waiting:  # it is not over yet
                self._opening = opening
        return waiter

    def pushes_on(self, link: Link) -> None:
        """Events were asked for on a link; what is asked on a later one takes its place."""
        if self._pushing is not link:
            self._pushing = link
            link.gone.addCallback(lambda _: self._link_gone(link))

    def _link_gone(self, link: Link) -> None:
        if self._pushing is link:
            self._pushing = None
            if not isinstance(link.reason, Closed):
                try:
                    self._pushing_lost(lost_in_flight(link.reason))
                except Exception:
                    self.log.failure("a callback of the client failed")

    def close(self) -> Deferred[None]:
        """Close the link and forget the identity; fires when it is closed."""
        if self._opening is not None:
            self._opening.cancel()
        link, self.link, self._reaching.token = self.link, None, ""
        if link is None or not link.alive:
            return succeed(None)
        link.request(work.exit().opcode, b"").addErrback(lambda _: None)
        link.close()
        closed: Deferred[None] = Deferred()
        link.gone.addCallback(lambda _: closed.callback(None))
        return closed

    async def _open(self, *, again: bool) -> None:
        """Connect, and tell all that wait for it how that went."""
        failure: Exception | None = None
        try:
            self.link = await self._reaching.reach(again=again)
        except CancelledError:
            failure = Closed()
        except Exception as error:
            failure = error
        self._opening = None
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if failure is not None or self.link is None:
                waiter.errback(failure or ConnectionLost("the kernel cannot be reached"))
            else:
                waiter.callback(self.link)

    async def _dial(self) -> Link:
        """Connect to the first socket where a kernel listens, and check its user."""
        link = Link(self._limits, self._pushed)
        factory = Factory.forProtocol(lambda: link)
        factory.noisy = False
        if self._endpoint is not None:
            try:
                return cast("Link", await self._endpoint.connect(factory))
            except ConnectError as error:
                raise ConnectionLost(f"the kernel cannot be reached: {error}") from None
        attempts = Attempts(self._paths)  # Twisted takes a full queue for a closed connection
        for pause in attempts:
            await deferLater(self._reactor, pause)
        with attempts.connection as connection:
            adopt = cast("Any", self._reactor).adoptStreamConnection
            adopt(connection.fileno(), connection.family, factory)
        self.socket_path = attempts.path
        return link
