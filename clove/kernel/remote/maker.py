"""Makes the tunnels of this kernel. Of what they need nothing is imported before one is asked for."""

from __future__ import annotations

import platform
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from clove._version import __version__
from clove.kernel.remote.settings import RemoteLimits, TunnelSettings, machine_name

if TYPE_CHECKING:
    from clove.channels.channel import Channel
    from clove.kernel.network.way_out import WayOut
    from clove.messages.relay import Caller
    from clove.tunnel.identity import Identity
    from clove.tunnel.target import Target
    from clove.tunnel.tunnel import Tunnel
    from clove.tunnel.tunnel_set import TunnelSet

__all__ = ["TunnelMaker"]

Enter = Callable[[str, "Caller", "Channel"], object]


class TunnelMaker:
    """Makes tunnels.

    @param directory: of the key.
    @param limits: of each tunnel.
    @param in_thread: runs what blocks.
    @param load: imports a module in a thread.
    """

    def __init__(
        self,
        reactor: Any,
        directory: str,
        settings: TunnelSettings,
        limits: RemoteLimits,
        *,
        in_thread: Callable[..., Deferred[Any]],
        load: Callable[[str], Any],
        way_out: WayOut,
        resolver: Any,
    ) -> None:
        self._reactor = reactor
        self._directory = directory
        self._settings = settings
        self._limits = limits
        self._in_thread = in_thread
        self._load = load
        self._way_out = way_out
        self._resolver = resolver

    async def target(self, url: str, machine_id: str, token: str, *, changes_relay: bool) -> Target:
        """The relay that is meant.

        @param token: to join it; "": the machine has.
        @param changes_relay: with the token the machine may leave the one that it has joined before.
        @raise InvalidRequest: there is none.
        """
        await self._load("clove.tunnel.tunnel")
        import msgspec

        from clove.tunnel.target import Target

        name = machine_name(machine_id, platform.node())
        target = Target.of(url, name, token, plain=self._settings.plain)
        return msgspec.structs.replace(target, changes_relay=changes_relay)

    async def make(
        self,
        first: Target,
        others: tuple[str, ...],
        enter: Enter,
        alive: Callable[[], Awaitable[object]],
    ) -> TunnelSet:
        """Tunnels to a relay and to others of its database.

        @param enter: serves a caller: the relays' id, who it is, its channel.
        @param alive: goes through the kernel's dispatch.
        @raise CloveError: the key, a URL or the certificates cannot be used.
        """
        await self._load("clove.sandbox.probe")
        from clove.sandbox.probe import probe
        from clove.tunnel.identity import Identity
        from clove.tunnel.target import Target
        from clove.tunnel.tunnel_set import TunnelSet

        plain = self._settings.plain
        targets = [first, *(Target.of(each, first.machine_id, plain=plain) for each in others)]
        identity = await self._in_thread(Identity.load, self._directory)
        facts = {"versions": _versions(), "isolation": (await self._in_thread(probe)).to_dict()}
        made = [await self._make_one(each, identity, facts, enter, alive) for each in targets]
        return TunnelSet(identity, made[0], made[1:])

    async def _make_one(
        self,
        target: Target,
        identity: Identity,
        facts: dict[str, Any],
        enter: Enter,
        alive: Callable[[], Awaitable[object]],
    ) -> Tunnel:
        from clove.channels.multiplexed import LinkLimits
        from clove.kernel.remote.endpoint import endpoint_to
        from clove.tunnel.tunnel import Tunnel

        endpoint = await self._in_thread(
            endpoint_to,
            self._reactor,
            target,
            self._way_out,
            self._resolver,
            self._settings.ca_file,
        )
        tunnel = Tunnel(
            self._reactor,
            target,
            identity,
            endpoint,
            accept=lambda caller, channel: enter(tunnel.relay_id, caller, channel),
            alive=alive,
            in_thread=self._in_thread,
            wall=time.time,
            random=random.SystemRandom(secrets.randbits(64)).random,
            facts=facts,
            limits=LinkLimits(
                channels=self._limits.channels, unacknowledged=self._limits.unacknowledged
            ),
        )
        return tunnel


def _versions() -> dict[str, str]:
    return {
        "clove": __version__,
        "python": platform.python_version(),
        "linux": platform.release(),
    }
