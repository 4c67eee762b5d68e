"""A kernel with a tunnel to each of two relays is reached while one of them stands."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import CloveError
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.test_fleet_routes import await_presence, deploy
from tests.integration.fleet.two_relays import Relays, two_relays
from tests.postgresql import PostgreSQL
from tests.waiting import until


@pytest.fixture
def relays(postgresql: PostgreSQL) -> Iterator[Relays]:
    # the first line is of [limits.hub]: longer than a test waits for the end of a relay that others have left
    more = "drain_seconds = 60.0\n[limits.link]\nlease_seconds = 3.0\nping_seconds = 1.0\n"
    with two_relays(postgresql, more) as both:
        yield both


def join_both(relays: Relays) -> KernelProcess:
    """A kernel with both tunnels."""
    first, second = relays
    # into the section [tunnel], which comes last
    kernel = first.join("one", f'other_relays = ["{second.url}"]\n')
    with CloveClient(kernel.socket) as operator:
        until(
            lambda: (
                [each["connected"] for each in operator.tunnel_status()["tunnels"]] == [True, True]
            ),
            "both tunnels stand",
        )
    return kernel


def kill(fleet: Fleet) -> None:
    assert fleet.process is not None
    fleet.process.kill()
    fleet.process.wait()


def test_both_relays_have_it_and_either_may_die(relays: Relays) -> None:
    first, second = relays
    join_both(relays)
    before = deploy(second, "before")
    kill(first)
    assert deploy(second, "before") == before
    deploy(second, "after")
    first.restart()
    await_presence(first, "one", "connected")
    kill(second)
    assert deploy(first, "before") == before


def test_a_token_manages_its_agents_by_whichever_tunnel(relays: Relays) -> None:
    first, second = relays
    join_both(relays)
    token = first.agent_token("one")
    with first.client("one", token) as here, second.client("one", token) as there:
        here.spawn("long", command=["sleep", "100"])
        assert [entry["name"] for entry in there.list_agents()] == ["long"]
        there.kill("long")
        assert there.wait("long")["reason"] == "killed"


def test_a_relay_that_stops_lets_calls_end_and_the_machine_stays_connected(relays: Relays) -> None:
    first, second = relays
    join_both(relays)
    found: list[Any] = []

    def call() -> None:
        try:
            with first.client("one") as client:
                client.spawn("short", command=["sleep", "1"])
                began.set()
                found.append(client.wait("short")["reason"])
        except CloveError as error:
            found.append(error)

    began = threading.Event()
    work = threading.Thread(target=call)
    work.start()
    assert began.wait(30)
    assert first.process is not None
    first.process.send_signal(signal.SIGTERM)
    work.join()
    assert found == ["exited"]
    assert first.process.wait(20) in (0, -signal.SIGTERM)
    await_presence(second, "one", "connected")
    deploy(second, "after")


def test_a_kernel_without_callers_leaves_a_relay_that_stops_at_once(relays: Relays) -> None:
    first, second = relays
    kernel = join_both(relays)
    assert first.process is not None
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(20) in (0, -signal.SIGTERM)
    assert "the relay is about to stop" in kernel.log
    await_presence(second, "one", "connected")


def test_idle_callers_leave_a_relay_that_stops_and_so_do_those_of_its_tunnels(
    relays: Relays,
) -> None:
    first, second = relays
    second.join("one")
    with first.client("one") as far, second.client("one") as near:
        assert [each.noop(b"before") for each in (far, near)] == [b"before"] * 2
        assert second.process is not None
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(20) in (0, -signal.SIGTERM)
        second.restart()
        await_presence(first, "one", "connected")
        assert [each.noop(b"after") for each in (far, near)] == [b"after"] * 2


def test_the_other_relay_gets_no_token_and_no_proof_before_the_machine_has_joined(
    relays: Relays,
) -> None:
    _, second = relays
    kernel = join_both(relays)
    assert "has joined none" not in kernel.log
    with CloveClient(kernel.socket) as operator:
        assert operator.tunnel_disconnect()["disconnected"]
        await_presence(second, "one", "disconnected")
        assert operator.tunnel_connect()["machine_id"] == "one"
    await_presence(second, "one", "connected")
