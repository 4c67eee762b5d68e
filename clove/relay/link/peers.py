"""The links to other relays, each made when it is needed, and kept."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from clove.errors import CloveError, Unavailable
from clove.relay.hub.conversation import Conversation
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.link.peer_link import PeerLink
from clove.relay.link.proving import prove_dialling
from clove.relay.records import RelayRecord
from clove.threads.threads import Threads
from clove.tunnel.dialling import endpoint_of, late, open_socket
from clove.tunnel.target import Target

__all__ = ["Peers"]

AGAIN_SECONDS: Final = 0.5
"""After a failure, in which that relay is not tried again."""


class Peers:
    """The other relays, as this one reaches them.

    @param ca_file: certificates in PEM by which theirs have to be signed; "": the host's authorities.
    @param plain: links to other hosts may go without TLS.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        identity: RelayIdentity,
        limits: RelayLinkLimits,
        threads: Threads,
        *,
        ca_file: str,
        plain: bool,
    ) -> None:
        self._reactor = reactor
        self._identity = identity
        self._limits = limits
        self._threads = threads
        self._ca_file = ca_file
        self._plain = plain
        self._links: dict[str, PeerLink] = {}
        self._dialling: dict[str, list[Deferred[PeerLink]]] = {}
        self._failed: dict[str, tuple[float, Unavailable]] = {}
        self._dials: set[Deferred[Any]] = set()
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin to look whether the others answer."""
        self._loop.start(self._limits.ping_seconds, now=False)

    def stop(self) -> None:
        """End all links."""
        if self._loop.running:
            self._loop.stop()
        for dial in list(self._dials):
            dial.cancel()
        for link in list(self._links.values()):
            link.end("the relay stops")

    def known(self, name: str) -> PeerLink | None:
        """The link that there is."""
        return self._links.get(name)

    async def link(self, relay: RelayRecord) -> PeerLink:
        """A link to a relay; several that ask for it at once get the same one.

        @raise Unavailable: it cannot be reached.
        """
        found = self._links.get(relay.relay)
        if found is not None:
            return found
        failed = self._failed.get(relay.relay)
        if failed is not None and self._reactor.seconds() < failed[0] + AGAIN_SECONDS:
            raise failed[1]
        waiting: Deferred[PeerLink] = Deferred()
        others = self._dialling.setdefault(relay.relay, [])
        others.append(waiting)
        if len(others) == 1:
            dial = Deferred.fromCoroutine(self._dial(relay))
            self._dials.add(dial)
            dial.addBoth(self._dialled, relay)
            dial.addBoth(lambda _: self._dials.discard(dial))
        return await waiting

    def _dialled(self, result: Any, relay: RelayRecord) -> None:
        for waiting in self._dialling.pop(relay.relay, []):
            if waiting.called:
                continue
            if isinstance(result, PeerLink):
                waiting.callback(result)
            else:
                waiting.errback(self._problem(relay, result))

    def _problem(self, relay: RelayRecord, failure: Any) -> Unavailable:
        error = failure.value
        if isinstance(error, CancelledError):
            error = Unavailable("this relay stops")
        if not isinstance(error, (CloveError, ConnectError, OSError)):
            self.log.failure("relay {relay} cannot be linked", failure, relay=relay.relay)
        problem = Unavailable(
            f"the relay that has this machine's tunnel cannot be reached: {error}",
            hint="try again in a second; its [link] url in docs/fleet.md",
        )
        now = self._reactor.seconds()
        self._failed = {
            name: each for name, each in self._failed.items() if now < each[0] + AGAIN_SECONDS
        }
        self._failed[relay.relay] = (now, problem)
        self.log.warn(
            "relay {relay} ({url}) is not reached: {problem}",
            relay=relay.relay,
            url=relay.url,
            problem=str(error),
        )
        return problem

    async def _dial(self, relay: RelayRecord) -> PeerLink:
        if not relay.url:
            raise Unavailable("it has no [link] in its configuration")
        seconds = self._limits.connect_seconds
        target = Target.of(relay.url, "relay", plain=self._plain)
        endpoint = await self._threads.run(endpoint_of, self._reactor, target, self._ca_file)
        socket = await open_socket(self._reactor, endpoint, target.url, seconds)
        conversation = Conversation(socket)
        talking = Deferred.fromCoroutine(prove_dialling(self._identity, conversation, relay))
        talking.addTimeout(seconds, self._reactor, late)
        try:
            await talking
        except BaseException:
            socket.abort()
            raise
        link = PeerLink(self._reactor, relay.relay, self._limits, socket, self._ended)
        self._links[relay.relay] = link
        self.log.info("link to relay {relay} ({url})", relay=relay.relay, url=relay.url)
        return link

    def _ended(self, link: PeerLink, reason: str) -> None:
        if self._links.get(link.peer) is link:
            del self._links[link.peer]
            self.log.info(
                "the link to relay {relay} has ended: {reason}", relay=link.peer, reason=reason
            )

    def _look(self) -> None:
        for link in list(self._links.values()):
            link.look()
