"""A relay in one network namespace, a kernel in another, and a client on either side."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from clove import CloveClient
from clove.client.remote import RemoteClient
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.networks import Network, network

__all__ = ["Counter", "Site", "running_site"]

CONFIG = """
[rest]
listen = "0.0.0.0"
plain = true
port = 0
[hub]
listen = "0.0.0.0"
plain = true
port = 0
[limits.hub]
ping_seconds = {ping}
resume_seconds = 300.0
[limits.rest]
rate = 100000
burst = 100000
"""
PLAIN = "plain = true\n"


class Site:
    """A relay near, a kernel far, and what is between them."""

    def __init__(self, between: Network, ping: float = 1.0) -> None:
        self.between = between
        self.fleet = Fleet(CONFIG.format(ping=ping))
        self.fleet.prefix = between.near.prefix

    def start(self, environ: dict[str, str] | None = None) -> KernelProcess:
        with self.between.near.inside():
            self.fleet.start()
            self.fleet.tunnel_url = f"ws://{self.between.near.address}:{self.fleet.hub_port}"
            return self.fleet.join(
                "one", PLAIN, prefix=self.between.far.prefix, environ=environ or {}
            )

    def machine(self) -> dict[str, Any]:
        with self.between.near.inside():
            return dict(self.fleet.ask("GET", "/machines/one"))

    def client(self, side: str = "near") -> RemoteClient:
        """A remote agent on the relay's side, or beyond the network."""
        with self.between.near.inside():
            token = self.fleet.agent_token("one")
        where = self.between.near if side == "near" else self.between.far
        with where.inside():
            client = RemoteClient(
                self.fleet.tunnel_url, "one", token=token, plain=True, timeout=100
            )
            client.noop()
            return client

    def stop(self) -> None:
        self.between.heal()
        with self.between.near.inside():
            self.fleet.stop()


@contextlib.contextmanager
def running_site(ping: float = 1.0) -> Iterator[Site]:
    with network() as between:
        site = Site(between, ping)
        try:
            yield site
        finally:
            site.stop()


class Counter:
    """Counts what callers have sent, on the kernel itself."""

    def __init__(self, kernel: KernelProcess) -> None:
        self._client = CloveClient(kernel.socket)
        self._client.register_name("counter")
        self.received: list[int] = []

    def read(self) -> list[int]:
        """All that has come; a mailbox holds so many and no more."""
        while messages := self._client.recv_messages(max=1000)["messages"]:
            self.received += [one["message"] for one in messages]
        return self.received

    def close(self) -> None:
        self._client.close()
