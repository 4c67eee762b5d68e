"""A tunnel beside a kernel, as a service of Twisted: another process holds what talks to the network."""

from __future__ import annotations

import os
import platform
import random
import time
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IStreamClientEndpoint

from clove._version import __version__
from clove.errors import CloveError, InvalidRequest
from clove.regular import read_secret
from clove.systemd.credentials import JOIN, credential_path
from clove.systemd.notify import Notifier
from clove.threads.threads import ThreadLimits, Threads
from clove.tunnel.config import TunnelConfig
from clove.tunnel.dialling import endpoint_of
from clove.tunnel.identity import Identity
from clove.tunnel.kernel_socket import KernelSocket
from clove.tunnel.target import Target
from clove.tunnel.tunnel import Tunnel
from clove.tunnel.tunnel_set import TunnelSet

__all__ = ["TunnelService", "refusal"]

MOST_TOKEN = 1024


class TunnelService(Service):
    """The tunnel, from start to stop.

    @param notifier: tells the service manager how it is.
    """

    def __init__(
        self, reactor: Any, config: TunnelConfig, notifier: Notifier | None = None
    ) -> None:
        self._reactor = reactor
        self._notifier = notifier or Notifier(reactor)
        self._config = config
        self._threads = Threads(reactor, 1, ThreadLimits(own=1))
        self._tunnel: TunnelSet | None = None

    def startService(self) -> None:
        """Read what is needed, and dial.

        @raise SystemExit: the configuration cannot be used; in one line.
        """
        Service.startService(self)
        self._reactor.seconds = time.monotonic  # a step of the wall clock ends no wait
        try:
            self._tunnel = self._make()
        except CloveError as error:
            raise SystemExit(refusal(error)) from None
        self._reactor.callWhenRunning(self._serve)

    def _serve(self) -> None:
        self._threads.start()
        assert self._tunnel is not None
        self._tunnel.start()
        # ready without the relay: a machine starts as well while that cannot be reached
        self._notifier.ready(self._status)

    def _status(self) -> str:
        """In words, for `systemctl status`."""
        assert self._tunnel is not None
        target = self._tunnel.target
        if self._tunnel.connected:
            callers = self._tunnel.channels
            return f"connected to {target.url} as {target.machine_id}; remote callers: {callers}"
        return f"not connected to {target.url}: {self._tunnel.problem or 'dialling'}"

    def _make(self) -> TunnelSet:
        config = self._config
        token_file = config.join_token_file or credential_path(JOIN)
        token = _read_token(token_file) if token_file else ""
        machine = config.machine_id or platform.node()
        first = Target.of(config.relay_url, machine, token, plain=config.plain)
        others = [Target.of(url, machine, plain=config.plain) for url in config.other_relays]
        try:
            os.makedirs(config.directory, 0o700, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(f"cannot use {config.directory}: {error.strerror}") from None
        identity = Identity.load(config.directory)
        kernel = KernelSocket(self._reactor, config.kernel_socket)
        made = [self._make_one(target, identity, kernel) for target in (first, *others)]
        return TunnelSet(identity, made[0], made[1:])

    def _make_one(self, target: Target, identity: Identity, kernel: KernelSocket) -> Tunnel:
        tunnel = Tunnel(
            self._reactor,
            target,
            identity,
            self._endpoint_of(target),
            accept=lambda caller, channel: kernel.hand_over(tunnel.relay_id, caller, channel),
            alive=kernel.check,
            in_thread=self._threads.run,
            wall=time.time,
            random=random.SystemRandom().random,
            facts={"versions": {"clove": __version__, "python": platform.python_version()}},
        )
        return tunnel

    def _endpoint_of(self, target: Target) -> IStreamClientEndpoint:
        config, path = self._config, self._config.proxy_credentials_file
        if path and not config.proxy:
            raise InvalidRequest("proxy_credentials_file means nothing without `proxy`")
        try:
            credentials = read_secret(path, MOST_TOKEN).decode().strip() if path else ""
        except (OSError, ValueError) as error:
            raise InvalidRequest(
                f"no credentials for the proxy: {error}", hint="see proxy_credentials_file"
            ) from None
        return endpoint_of(self._reactor, target, config.ca_file, config.proxy, credentials)

    def stopService(self) -> None:
        """Close the tunnel; callers lose their connections."""
        Service.stopService(self)
        self._notifier.stopping()
        if self._tunnel is not None:
            self._tunnel.stop()
        self._threads.stop()
        self._notifier.close()


def refusal(error: CloveError) -> str:
    """Why the tunnel does not start, in one line."""
    return f"clove-tunnel: {error}" + (f" ({error.hint})" if error.hint else "")


def _read_token(path: str) -> str:
    try:
        return read_secret(path, MOST_TOKEN).decode().strip()
    except FileNotFoundError:  # it was used up, and removed
        return ""
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"no join token: {error}", hint="see join_token_file") from None
