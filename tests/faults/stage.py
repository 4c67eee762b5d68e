"""Two relays in network namespaces of their own, PostgreSQL, and a kernel with a tunnel to each."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clove import CloveClient
from clove.client.fleet import FleetClient
from clove.client.remote import RemoteClient
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet
from tests.postgresql import PostgreSQL, own_postgresql
from tests.waiting import until

__all__ = ["MISSING", "Stage", "enclose", "stage"]

_MARK = "CLOVE_FAULTS_ENCLOSED"
MISSING = next(
    (
        words
        for missing, words in (
            (os.geteuid() != 0, "needs root, to make network namespaces"),
            (shutil.which("ip") is None, "needs ip (iproute2)"),
            (shutil.which("nsenter") is None, "needs nsenter (util-linux)"),
        )
        if missing
    ),
    "",
)
"""Why there can be no such stage here; "": there can."""

CONFIG = """
[rest]
listen = "0.0.0.0"
plain = true
[hub]
listen = "0.0.0.0"
plain = true
[link]
url = "ws://{address}:8767"
listen = "0.0.0.0"
plain = true
[store]
postgresql = "{store}"
[limits.hub]
ping_seconds = 1.0
[limits.link]
lease_seconds = 5.0
ping_seconds = 1.0
[limits.rest]
rate = 100000
burst = 100000
[limits.lockout]
failures = 1000000
all_failures = 1000000
"""
TUNNEL = """
[tunnel]
relay_url = "ws://{first}:8765"
other_relays = ["ws://{second}:8765"]
machine_id = "one"
plain = true
"""


def enclose(module: str, arguments: list[str]) -> None:
    """Begin again in a network namespace of its own, which leads nowhere but to those that it makes."""
    if _MARK in os.environ:
        return
    os.environ[_MARK] = os.environ["CLOVE_GUEST"] = "1"  # patient as on a slow machine
    os.execvp("unshare", ["unshare", "--net", sys.executable, "-m", module, *arguments])


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Node:
    """A relay in a network namespace of its own."""

    def __init__(self, number: int, store: str) -> None:
        self.address = f"10.78.{number}.2"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        self._holder.stdout.readline()  # it is in there
        self._wire(number)
        self.fleet = Fleet(CONFIG.format(address=self.address, store=store))
        self.fleet.prefix = ("nsenter", f"--net=/proc/{self._holder.pid}/ns/net")

    def _wire(self, number: int) -> None:
        near, far = f"near{number}", f"far{number}"
        inside = f"--net=/proc/{self._holder.pid}/ns/net"
        _ip(
            "link", "add", near, "type", "veth", "peer", "name", far, "netns", str(self._holder.pid)
        )
        _ip("addr", "add", f"10.78.{number}.1/24", "dev", near)
        _ip("link", "set", near, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.address}/24", "dev", far),
            ("link", "set", far, "up"),
            ("route", "add", "default", "via", f"10.78.{number}.1"),
        ):
            subprocess.run(["nsenter", inside, "ip", *words], check=True)

    def kill(self) -> None:
        """By SIGKILL."""
        assert self.fleet.process is not None
        self.fleet.process.kill()
        self.fleet.process.wait()

    def rest(self, token: str) -> FleetClient:
        return FleetClient(f"http://{self.address}:8766", token, plain=True, timeout=20)

    def agent(self, token: str) -> RemoteClient:
        url = f"ws://{self.address}:8765"
        return RemoteClient(url, "one", token=token, plain=True, timeout=20)

    def stop(self) -> None:
        self.fleet.stop()
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


class Stage:
    """All of it.

    @ivar admin: the admin token.
    @ivar token: of a remote agent.
    """

    def __init__(self, server: PostgreSQL, nodes: list[Node]) -> None:
        self.server = server
        self.nodes = nodes
        self.admin = nodes[0].fleet.admin
        first = nodes[0].rest(self.admin)
        self.token = str(first.issue_token("agent", target_machine="one")["token"])
        self.kernel = self._join(str(first.issue_token("join", machine_id="one")["token"]))

    def _join(self, token: str) -> KernelProcess:
        directory = tempfile.mkdtemp(dir="/tmp", prefix="c")
        path = Path(directory, "join")
        path.touch(0o600)
        path.write_text(token)
        config = TUNNEL.format(first=self.nodes[0].address, second=self.nodes[1].address)
        kernel = KernelProcess(directory, f'{config}join_token_file = "{path}"\n')
        kernel.start()
        return kernel

    def await_whole(self) -> None:
        """Until everything stands."""
        with CloveClient(self.kernel.socket) as operator:
            until(
                lambda: (
                    [each["connected"] for each in operator.tunnel_status()["tunnels"]]
                    == [True, True]
                ),
                "both tunnels stand",
            )
        for node in self.nodes:
            until(lambda: self._is_connected(node), "the machine is connected on each relay's list")  # noqa: B023 called at once

    def _is_connected(self, node: Node) -> Any:
        with contextlib.suppress(Exception):
            return node.rest(self.admin).machine("one")["presence"] == "connected"

    def stop(self) -> None:
        self.kernel.stop()
        shutil.rmtree(self.kernel.directory)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """All of it runs; it is gone afterwards."""
    _ip("link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with own_postgresql() as server, contextlib.ExitStack() as stack:
        store = server.new_database()
        nodes = []
        for number in (1, 2):
            node = Node(number, store)
            stack.callback(node.stop)
            nodes.append(node)
            node.fleet.start()
        found = Stage(server, nodes)
        stack.callback(found.stop)
        found.await_whole()
        yield found
