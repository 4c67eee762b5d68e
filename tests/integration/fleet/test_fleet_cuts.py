"""Connections that are cut: what was under way goes on, every byte arrives once, or it is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from clove.errors import CloveError, ConnectionLost
from tests.integration.fleet.cutting_proxy import CuttingProxy
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.waiting import until

COUNT = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
EXPECTED = "".join(f"line {number}\n" for number in range(20_000)).encode()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.fixture
def proxy(fleet: Fleet) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(fleet.hub_port)
    yield proxy
    proxy.stop()


def read_all(client: RemoteClient, agent: int) -> bytes:
    """An agent's whole output, piece by piece."""
    found = bytearray()
    while True:
        piece = client.read_output(agent, since=len(found), max=4096, wait=10)
        found += piece["data"]
        if piece["ended"] and not piece["data"]:
            return bytes(found)


MOST_CUTS = 8
"""On a busy machine a connection may not get far before it is cut."""


def cut_while(proxy: CuttingProxy, work: threading.Thread, least: int) -> None:
    """Cut connections soon after they are made, while the work is under way."""
    work.start()
    seen = 0
    while work.is_alive():
        if seen < proxy.connections and seen < MOST_CUTS:
            seen = proxy.connections
            time.sleep(0.03)  # so that each connection carries something
            proxy.cut()
        time.sleep(0.005)
    work.join()
    assert seen >= least


@pytest.mark.parametrize("side", ["agent", "kernel"])
def test_every_byte_arrives_once_whichever_side_is_cut(
    fleet: Fleet, proxy: CuttingProxy, side: str
) -> None:
    direct = fleet.url
    through = f"ws://127.0.0.1:{proxy.port}"
    if side == "kernel":
        fleet.tunnel_url = through
    fleet.join("one")
    token = fleet.agent_token("one")
    url = through if side == "agent" else direct
    with RemoteClient(url, "one", token=token, timeout=40) as client:
        client.noop()
        identity = client.agent_id
        agent = client.spawn("lines", command=["sh", "-c", COUNT])["agent_id"]
        found: list[bytes] = []
        work = threading.Thread(target=lambda: found.append(read_all(client, agent)))
        cut_while(proxy, work, 3)
        assert found == [EXPECTED]
        assert client.agent_id == identity


def test_a_call_that_waits_is_answered_after_a_cut(fleet: Fleet, proxy: CuttingProxy) -> None:
    fleet.join("one")
    url = f"ws://127.0.0.1:{proxy.port}"
    with RemoteClient(url, "one", token=fleet.agent_token("one")) as client:
        client.spawn("short", command=["sleep", "1"])
        found: list[str] = []
        work = threading.Thread(target=lambda: found.append(client.wait("short")["reason"]))
        work.start()
        until(lambda: client.connected, "the call is under way")
        proxy.cut()
        work.join()
        assert found == ["exited"]


def test_a_relay_that_starts_anew_ends_what_was_under_way_and_serves_again(fleet: Fleet) -> None:
    fleet.join("one")
    client = fleet.client("one")
    client.spawn("long", command=["sleep", "100"])
    failures: list[CloveError] = []

    def wait() -> None:
        try:
            client.recv_messages(wait=20)
        except CloveError as error:
            failures.append(error)

    work = threading.Thread(target=wait)
    work.start()
    fleet.restart()
    work.join()
    assert isinstance(failures[0], ConnectionLost)
    fleet.await_tunnel(fleet.kernels[0])
    assert [one["name"] for one in client.list_agents()] == ["long"]
    client.kill("long")
    client.close()


def test_a_kernel_that_starts_anew_is_known_by_its_key(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    kernel.stop()
    kernel.start()
    fleet.await_tunnel(kernel)
    with fleet.client("one") as client:
        assert client.noop(b"again") == b"again"


def test_a_machine_that_is_gone_is_said_to_be(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    client = fleet.client("one")
    client.noop()
    kernel.stop()
    with pytest.raises(CloveError):
        client.noop()
    client.close()
    until(
        lambda: fleet.ask("GET", "/machines/one")["presence"] == "disconnected",
        "the kernel is gone",
    )


def test_the_operator_disconnects_and_connects(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    with CloveClient(kernel.socket) as operator:
        assert operator.tunnel_disconnect()["disconnected"]
        assert not operator.tunnel_status()["connected"]
        assert not operator.tunnel_disconnect()["disconnected"]
        assert operator.tunnel_connect()["machine_id"] == "one"
        assert operator.tunnel_status()["connected"]
