"""`clove forward`: a port of an agent's sandbox here, through the relay; and what tries to get more by it."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clove import CloveClient
from clove.client.methods import streams
from clove.client.remote import RemoteClient
from clove.errors import (
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.forwarding import ECHO, Bearer, connect, read_all
from tests.waiting import until

Tokens = Callable[[str, int], dict[str, str]]
LIMIT = 8
"""Connections and commands of one token on the machine `few`."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        fleet.join("one")
        fleet.join("shut", f"[remote]\nforward = false\n[limits.remote]\ndialled = {LIMIT}\n")
        fleet.join("few", f"[limits.remote]\ndialled = {LIMIT}\ncommands = {LIMIT}\n")
        fleet.join("goes")
        yield fleet


@pytest.fixture(scope="module")
def tokens(fleet: Fleet) -> Callable[[str, int], dict[str, str]]:
    """Tokens for a machine, the same for the same number: a relay makes not many in a minute."""

    @functools.cache
    def token(machine: str, number: int) -> dict[str, str]:
        body = {"target_machine": machine, "name": f"bearer {number}"}
        return dict(fleet.ask("POST", "/tokens/agent", body))

    return token


@pytest.fixture
def bearer(fleet: Fleet, tokens: Tokens) -> Iterator[Bearer]:
    made = Bearer(fleet, "one", tokens("one", 0))
    yield made
    made.close()


def test_bytes_go_both_ways_and_each_way_ends_by_itself(bearer: Bearer) -> None:
    data = os.urandom(1 << 20)
    with bearer.forwarded() as (port, _), connect(port) as connection:
        connection.sendall(b"first")
        assert connection.recv(100) == b"first"
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == data + b"<end>"


def test_many_at_once_do_not_mix(bearer: Bearer) -> None:
    with bearer.forwarded() as (port, _), contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(port)) for _ in range(20)]
        for number, connection in enumerate(connections):
            connection.sendall(b"%d" % number)
            connection.shutdown(socket.SHUT_WR)
        for number, connection in enumerate(connections):
            assert read_all(connection) == b"%d<end>" % number


def test_one_that_does_not_read_holds_up_no_other(bearer: Bearer) -> None:
    with bearer.forwarded() as (port, _), connect(port) as stuck:
        stuck.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while True:
                stuck.sendall(bytes(1 << 20))
        with connect(port) as other:
            other.sendall(b"x")
            assert other.recv(10) == b"x"


def test_a_port_on_which_nothing_listens_ends_the_connection_and_is_said(bearer: Bearer) -> None:
    with bearer.forwarded(7001) as (port, process):
        with connect(port) as connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert "nothing listens there" in said["error"]
        assert process.poll() is None


def ends_within(seconds: float, connection: socket.socket) -> None:
    connection.settimeout(seconds)
    with contextlib.suppress(ConnectionResetError):
        assert connection.recv(1) == b""


@pytest.mark.parametrize("how", ["agent", "token", "machine"])
def test_what_is_revoked_or_ended_ends_connections_within_5_seconds(
    fleet: Fleet, tokens: Tokens, how: str
) -> None:
    machine = "goes" if how == "machine" else "one"
    bearer = Bearer(fleet, machine, tokens(machine, 2))
    try:
        with bearer.forwarded() as (port, process), connect(port) as connection:
            connection.sendall(b"x")
            assert connection.recv(10) == b"x"
            if how == "token":
                fleet.ask("DELETE", f"/tokens/{bearer.token_id}")
            elif how == "agent":
                bearer.client.kill(agent_id=bearer.agent)
            else:
                fleet.ask("DELETE", f"/machines/{machine}")
            ends_within(5, connection)
            assert process.wait(30) == (0 if how == "agent" else 1)
    finally:
        bearer.close()
        if how == "token":
            with CloveClient(fleet.kernels[0].socket) as operator:
                operator.kill(agent_id=bearer.agent)


# what may not be


def dial(client: RemoteClient, agent: int, port: int) -> Any:
    with client.dial(port, agent_id=agent) as dialled:
        return next(dialled)


def test_another_tokens_agent_is_out_of_reach(fleet: Fleet, bearer: Bearer, tokens: Tokens) -> None:
    other = Bearer(fleet, "one", tokens("one", 1))
    try:
        with pytest.raises(PermissionDenied):
            dial(other.client, bearer.agent, 7000)
        with bearer.client.dial(7000, agent_id=bearer.agent) as dialled:
            number = next(dialled)["command"]
            for agent in (bearer.agent, other.agent):
                with pytest.raises((PermissionDenied, NotFound)):
                    other.client.read_output(agent_id=agent, command=number)
                with pytest.raises((PermissionDenied, NotFound)):
                    other.client.write_input(b"x", agent_id=agent, command=number)
                with pytest.raises((PermissionDenied, NotFound)):
                    other.client.close_stream("stdin", agent_id=agent, command=number)
            bearer.client.write_input(b"mine", agent_id=bearer.agent, command=number)
            page = bearer.client.read_output(agent_id=bearer.agent, command=number, wait=10)
            assert page["data"] == b"mine"
    finally:
        other.close()


def test_a_port_of_the_host_is_out_of_reach(fleet: Fleet, bearer: Bearer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        for port in (listening.getsockname()[1], fleet.rest_port, fleet.hub_port):
            with pytest.raises(Unavailable, match="nothing listens there"):
                dial(bearer.client, bearer.agent, port)
        with pytest.raises(TimeoutError):
            listening.accept()


def test_a_machines_own_agent_is_out_of_reach(fleet: Fleet, bearer: Bearer) -> None:
    with CloveClient(fleet.kernels[0].socket) as operator:
        made = operator.spawn("operators", command=["python3", "-c", ECHO])
        try:
            with pytest.raises(PermissionDenied):
                dial(bearer.client, made["agent_id"], 7000)
        finally:
            operator.kill(agent_id=made["agent_id"])


def test_a_kernel_that_allows_none_refuses_all(fleet: Fleet, tokens: Tokens) -> None:
    bearer = Bearer(fleet, "shut", tokens("shut", 0))
    try:
        with pytest.raises(PermissionDenied) as denied:
            dial(bearer.client, bearer.agent, 7000)
        assert denied.value.rule == "remote.forward"
        with CloveClient(fleet.kernels[1].socket) as operator:
            entries = operator.get_audit_log("SECURITY")["entries"]
        assert any(
            not each["success"] and each["details"].get("syscall") == "DIAL" for each in entries
        )
    finally:
        bearer.close()


def test_a_connection_is_in_the_machines_audit_log(fleet: Fleet, bearer: Bearer) -> None:
    dial(bearer.client, bearer.agent, 7000)
    with CloveClient(fleet.kernels[0].socket) as operator:
        entries = operator.get_audit_log("NETWORK")["entries"]
    mine = [each for each in entries if each["details"].get("id") == bearer.agent]
    assert mine
    assert mine[-1]["event_type"] == "DIAL"
    assert mine[-1]["details"]["port"] == 7000


def test_a_flood_stays_within_the_limit_and_gives_all_back(fleet: Fleet, tokens: Tokens) -> None:
    bearer = Bearer(fleet, "few", tokens("few", 0))
    try:
        for _ in range(2):
            with contextlib.ExitStack() as stack:
                for _ in range(LIMIT):
                    next(stack.enter_context(bearer.client.dial(7000, agent_id=bearer.agent)))
                with pytest.raises(LimitExceeded, match="are open with this token"):
                    dial(bearer.client, bearer.agent, 7000)
                other = Bearer(fleet, "few", tokens("few", 1))  # another token has its own
                try:
                    dial(other.client, other.agent, 7000)
                finally:
                    other.close()
            until(lambda: _can_dial(bearer), "what was open is given back")
        with bearer.forwarded() as (port, process), contextlib.ExitStack() as stack:
            for _ in range(3 * LIMIT):
                with contextlib.suppress(OSError):
                    stack.enter_context(connect(port)).sendall(b"x")
            assert process.poll() is None
        until(lambda: _can_dial(bearer), "what was open is given back")
    finally:
        bearer.close()


def test_commands_with_unread_output_stay_within_the_limit(fleet: Fleet, tokens: Tokens) -> None:
    bearer = Bearer(fleet, "few", tokens("few", 0))
    try:
        with contextlib.ExitStack() as stack:
            for number in range(LIMIT):
                client = stack.enter_context(fleet.client("few", bearer.token))
                assert next(_run_unread(client, bearer.agent))["command"], number
            with pytest.raises(LimitExceeded, match="output that was not read, with this token"):
                next(_run_unread(bearer.client, bearer.agent))
            other = Bearer(fleet, "few", tokens("few", 1))  # another token has its own
            try:
                assert next(_run_unread(other.client, other.agent))["command"]
            finally:
                other.close()
        until(lambda: _can_run(bearer), "what was held is given back")
    finally:
        bearer.close()


def _run_unread(client: RemoteClient, agent: int) -> Any:
    """A command that ends at once, and whose output waits in the kernel."""
    call = streams.run(agent, ["echo", "hello"])
    assert isinstance(call.payload, dict)
    call.payload["descriptors"] = False
    return client.stream(call)


def _can_run(bearer: Bearer) -> bool:
    with contextlib.suppress(LimitExceeded), bearer.client.run(bearer.agent, ["true"]) as ran:
        ran.finish()
        return True
    return False


def _can_dial(bearer: Bearer) -> bool:
    with contextlib.suppress(LimitExceeded):
        dial(bearer.client, bearer.agent, 7000)
        return True
    return False


def test_a_client_that_goes_leaves_no_connection(fleet: Fleet, bearer: Bearer) -> None:
    with fleet.client("one", bearer.token) as gone:
        dialled = gone.dial(7000, agent_id=bearer.agent)
        number = next(dialled)["command"]
        gone.write_input(b"half", agent_id=bearer.agent, command=number)
    script = "import sys; print(sum(' 01 ' in each for each in open('/proc/net/tcp')))"

    def established() -> int:
        with bearer.client.run(bearer.agent, ["python3", "-c", script]) as ran:
            found = os.read(ran.descriptors["stdout"], 100)
            ran.finish()
        return int(found)

    until(lambda: established() == 0, "its connection is closed")
