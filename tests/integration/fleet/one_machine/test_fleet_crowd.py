"""Fifty threads of one program reach a machine through a relay; a proxy stands before it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.integration.fleet.fleet_processes import Fleet, tls_fleet
from tests.integration.fleet.tunnel_beside import running_beside
from tests.waiting import until

THREADS = 50
CALLS = 20


def in_threads(work: Callable[[int], None]) -> None:
    """Have it done by many threads at the same time; what one raises is raised here."""
    failures: list[BaseException] = []
    begin = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            begin.wait(30)
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def call(client: RemoteClient, number: int) -> None:
    for each in range(CALLS):
        payload = f"{number} {each}".encode()
        assert client.noop(payload) == payload
    client.store(f"thread{number}", number)
    assert client.fetch(f"thread{number}")["value"] == number


def test_one_client_serves_fifty_threads_each_with_its_own_answers(fleet: Fleet) -> None:
    with fleet.client("one") as client:
        in_threads(lambda number: call(client, number))


def test_fifty_clients_of_one_token_are_served_at_once(fleet: Fleet) -> None:
    token = fleet.agent_token("one")

    def work(number: int) -> None:
        with fleet.client("one", token) as client:
            call(client, number)

    in_threads(work)
    until(lambda: not fleet.ask("GET", "/agents?machine_id=one")["agents"], "all are gone")


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with connect_proxy() as proxy:
        yield proxy


NAME = "relay.test"
"""Known to the proxy alone."""


@pytest.fixture
def secure_fleet(tmp_path: Path, proxy: ConnectProxy) -> Iterator[Fleet]:
    """A relay with a certificate for its name, which is reached through the proxy."""
    with tls_fleet(tmp_path, "127.0.0.1", NAME) as fleet:
        proxy.hosts[f"{NAME}:{fleet.hub_port}"] = ("127.0.0.1", fleet.hub_port)
        fleet.tunnel_url = f"wss://{NAME}:{fleet.hub_port}"
        yield fleet


def through(proxy: ConnectProxy) -> str:
    """A kernel's configuration."""
    return f'[egress]\nproxy = "{proxy.url}"\nproxy_resolves = true\n'


def test_a_kernel_reaches_its_relay_through_a_proxy_with_tls_inside(
    secure_fleet: Fleet, proxy: ConnectProxy
) -> None:
    ca_file = secure_fleet.ca_file
    secure_fleet.join("one", f'ca_file = "{ca_file}"\n{through(proxy)}')
    assert f"CONNECT {NAME}:{secure_fleet.hub_port} HTTP/1.1" in proxy.asked
    token = secure_fleet.agent_token("one")
    with RemoteClient(secure_fleet.url, "one", token=token, ca_file=ca_file) as client:
        assert client.noop(bytes(100_000)) == bytes(100_000)


def test_a_proxy_that_refuses_is_said_to_be_the_problem_and_tried_again(
    secure_fleet: Fleet, proxy: ConnectProxy
) -> None:
    ca_file = secure_fleet.ca_file
    kernel = secure_fleet.join("one", f'ca_file = "{ca_file}"\n{through(proxy)}')
    there = dict(proxy.hosts)
    proxy.hosts.clear()
    secure_fleet.restart()
    with CloveClient(kernel.socket) as operator:
        until(lambda: "502" in operator.tunnel_status()["problem"], "the proxy's answer is told")
        proxy.hosts.update(there)
        until(lambda: operator.tunnel_status()["connected"], "it is tried again")


def test_a_tunnel_beside_the_kernel_goes_through_a_proxy_with_tls_inside(
    secure_fleet: Fleet, proxy: ConnectProxy, tmp_path: Path
) -> None:
    proxy.credentials = "ann:secret"
    credentials = tmp_path / "credentials"
    credentials.touch(0o600)
    credentials.write_text("ann:secret\n")
    ca_file = secure_fleet.ca_file
    more = f'ca_file = "{ca_file}"\nproxy = "{proxy.url}"\n'
    more += f'proxy_credentials_file = "{credentials}"\n'
    with running_beside(secure_fleet, "beside", more) as beside:
        assert f"CONNECT {NAME}:{secure_fleet.hub_port} HTTP/1.1" in proxy.asked
        token = secure_fleet.agent_token("beside")
        with RemoteClient(secure_fleet.url, "beside", token=token, ca_file=ca_file) as client:
            assert client.noop(bytes(300_000)) == bytes(300_000)
        assert "secret" not in beside.log
        proxy.credentials = "ann:other"
        secure_fleet.restart()
        until(lambda: "407" in beside.log, "the proxy's answer is told")
        proxy.credentials = "ann:secret"
        until(lambda: beside.presence() == "connected", "it is tried again")
