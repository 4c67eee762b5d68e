"""The tunnel of this kernel: when there is one, and what comes through it.

Nothing of it is imported before a tunnel is asked for: an idle kernel has no WebSockets in its memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger

from clove.errors import InvalidRequest, NotFound, Unavailable
from clove.kernel.credentials import RemoteCaller
from clove.kernel.remote.callers import Callers
from clove.kernel.remote.joined import Joined, forget_joined, keep_joined, read_joined
from clove.kernel.remote.maker import TunnelMaker
from clove.kernel.remote.settings import RemoteLimits, RemoteSettings, TunnelSettings
from clove.kernel.remote.shown import config_shown, remote_entries, status_of
from clove.regular import read_secret
from clove.systemd.credentials import JOIN, credential_path

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from clove.channels.channel import Channel
    from clove.kernel.credentials import Credentials
    from clove.kernel.network.way_out import WayOut
    from clove.kernel.principal import Principal
    from clove.messages.relay import Caller
    from clove.messages.tunnel import RemoteEntry, TunnelStatusReply
    from clove.tunnel.tunnel_set import TunnelSet

__all__ = ["Tunnels"]

Accept = Callable[[Callable[[], "Credentials"], "Channel"], None]
MOST_TOKEN: Final = 1024
FIRST_SECONDS: Final = 30.0
"""For the first connection of a tunnel that the operator asks for."""
POLL: Final = 0.05
_CHECK: Final = (
    "check the token and the URL: wss:// with TLS, ws:// without, and the relay's port for WebSockets "
    "(8765 by default); then TUNNEL_CONNECT (clove tunnel join) again"
)


class Tunnels:
    """Makes and ends the tunnel, and says what remote callers may do.

    @param accept: serves the peer at the other end of a channel.
    @param noop: goes through the kernel's dispatch.
    @param in_thread: runs what blocks.
    @param load: imports a module in a thread.
    @param record: notes in the audit log that a caller has come.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        directory: str,
        tunnel: TunnelSettings,
        remote: RemoteSettings,
        limits: RemoteLimits,
        *,
        accept: Accept,
        noop: Callable[[], object],
        in_thread: Callable[..., Deferred[Any]],
        load: Callable[[str], Any],
        way_out: WayOut,
        resolver: Any,
        record: Callable[[int, str, str], object],
    ) -> None:
        self._reactor = reactor
        self._settings = tunnel
        self._remote = remote
        self._accept = accept
        self._noop = noop
        self._in_thread = in_thread
        self._directory = os.path.join(directory, "tunnel")
        self._maker = TunnelMaker(
            reactor,
            self._directory,
            tunnel,
            limits,
            in_thread=in_thread,
            load=load,
            way_out=way_out,
            resolver=resolver,
        )
        self._record = record
        self._callers = Callers(limits.known)
        self._tunnel: TunnelSet | None = None
        self._starting: Deferred[None] | None = None
        self._changing = DeferredLock()
        self._leaving = 0

    # the tunnel

    def start(self) -> None:
        """Dial the configured relay, or else the one that the operator has had this kernel join, if there is one."""
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._log_no_tunnel)

    def _log_no_tunnel(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        text, hint = failure.getErrorMessage(), getattr(failure.value, "hint", "")
        self.log.error("there is no tunnel: {reason}", reason=f"{text} ({hint})" if hint else text)

    async def _start(self) -> None:
        settings = self._settings
        if not settings.relay_url:
            joined = await self._in_thread(read_joined, self._directory)
            if joined is not None:
                self._begin(await self._make(joined.relay_url, joined.machine_id, "", ()))
            return
        token = ""
        if token_file := settings.join_token_file or credential_path(JOIN):
            token = await self._in_thread(_read_token, token_file)
        others = tuple(settings.other_relays)
        self._begin(await self._make(settings.relay_url, settings.machine_id, token, others))

    def _begin(self, tunnel: TunnelSet) -> None:
        if self._tunnel is None:  # the operator was not quicker
            self._tunnel = tunnel
            tunnel.start()

    async def join(self, relay_url: str, machine_id: str, token: str) -> tuple[TunnelSet, bool]:
        """The same as L{connect}, for the kernel's next starts as well, unless its configuration names a relay.

        @return: whether its next start dials this relay, too.
        """
        async with self._changing:
            return await self._join(relay_url, machine_id, token)

    async def _join(self, relay_url: str, machine_id: str, token: str) -> tuple[TunnelSet, bool]:
        tunnel = await self.connect(relay_url, machine_id, token)
        target, settings = tunnel.target, self._settings
        if settings.relay_url:
            return tunnel, not relay_url or relay_url == settings.relay_url
        joined = Joined(relay_url=relay_url, machine_id=target.machine_id)
        try:
            await self._in_thread(keep_joined, self._directory, joined)
        except OSError as error:
            self.log.error("the relay that was joined is not kept: {reason}", reason=str(error))
            return tunnel, False
        return tunnel, True

    async def leave(self) -> bool:
        """End the tunnel, and dial no relay that was joined at the next start; was there one?

        A join that still waits for its relay gives up; one that has it is left once it has kept that.

        @raise Unavailable: what is kept cannot be removed; then the tunnel stays.
        """
        was_there = self._tunnel is not None
        self._leaving += 1
        try:
            await self._changing.acquire()
        finally:
            self._leaving -= 1
        try:
            await self._in_thread(forget_joined, self._directory)
            self._stop_starting()
            return self.disconnect() or was_there
        finally:
            self._changing.release()

    async def connect(self, relay_url: str, machine_id: str, token: str) -> TunnelSet:
        """Have a tunnel to a relay, instead of the one that there is.

        @param relay_url: "": as configured.
        @param machine_id: "": as configured.
        @raise Unavailable: the relay cannot be reached, or refuses; then there is no tunnel.
        @raise InvalidRequest: nothing says which relay.
        """
        url = relay_url or self._settings.relay_url
        if not url:
            raise InvalidRequest("TUNNEL_CONNECT needs `relay_url`, or tunnel.relay_url configured")
        name = machine_id or self._settings.machine_id
        others = tuple(self._settings.other_relays) if url == self._settings.relay_url else ()
        tunnel = await self._make(url, name, token, others, changes_relay=True)
        self.disconnect()
        self._tunnel = tunnel
        tunnel.start()
        deadline = self._reactor.seconds() + FIRST_SECONDS
        while not tunnel.connected and not tunnel.problem:
            if self._leaving or self._reactor.seconds() > deadline:
                break
            pause: Deferred[None] = Deferred()
            self._reactor.callLater(POLL, pause.callback, None)
            await pause
        if not tunnel.connected:
            left = "it was left meanwhile" if self._leaving else "the relay does not answer"
            problem = tunnel.problem or left
            if self._tunnel is tunnel:
                self.disconnect()
            raise Unavailable(f"no tunnel to {tunnel.target.url}: {problem}", hint=_CHECK)
        return tunnel

    def disconnect(self) -> bool:
        """End the tunnel; was there one?"""
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.stop()
        return tunnel is not None

    def stop(self) -> None:
        """The kernel ends."""
        self._stop_starting()
        self.disconnect()

    def _stop_starting(self) -> None:
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()

    async def _make(
        self,
        url: str,
        machine_id: str,
        token: str,
        others: tuple[str, ...],
        *,
        changes_relay: bool = False,
    ) -> TunnelSet:
        target = await self._maker.target(url, machine_id, token, changes_relay=changes_relay)
        return await self._maker.make(target, others, self.enter, self._alive)

    async def _alive(self) -> None:
        self.answer_noop()

    def answer_noop(self) -> None:
        """Get through the kernel's dispatch."""
        self._noop()

    # callers

    def enter(self, relay: str, caller: Caller, channel: Channel) -> None:
        """Serve a caller that a relay has authenticated.

        @param relay: its id, which all relays of a database have in common.
        """

        def identify() -> RemoteCaller:
            permissions = self._remote.permissions_of(caller.permissions)
            known = self._callers.find(relay, caller.token_id, caller.name)
            self._record(known.number, caller.name, caller.token_id)
            return RemoteCaller(known.number, known.owner, permissions, self._remote.network)

        self._accept(identify, channel)

    # what the operator asks

    def status(self) -> TunnelStatusReply:
        """Of the tunnel, or of none."""
        return status_of(self._tunnel)

    def remotes(self, principals: Iterable[Principal]) -> list[RemoteEntry]:
        """Of these principals the remote callers."""
        return remote_entries(principals, self._callers)

    def config(self) -> dict[str, Any]:
        """What is configured, without secrets."""
        return config_shown(self._settings, self._remote)


def _read_token(path: str) -> str:
    try:
        return read_secret(path, MOST_TOKEN).decode().strip()
    except (ValueError, UnicodeDecodeError) as error:
        raise NotFound(f"no join token: {error}", hint="see tunnel.join_token_file") from None
