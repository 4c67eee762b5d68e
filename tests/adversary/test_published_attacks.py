"""Published ports: what agents, and programs of the host that connect to them, cannot do by them."""

from __future__ import annotations

import contextlib
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clove.errors import NotFound
from tests.adversary.arena import Arena
from tests.adversary.witness import rss
from tests.integration.exposed import ROOT, host
from tests.sandboxes import NO_SANDBOX, SANDBOXES
from tests.waiting import until

SERVER = Path(__file__).with_name("published_server.py").read_text()
MEBI = 1 << 20


@dataclass
class Server:
    """An agent whose ports 8000 (IPv4) and 8001 (IPv6) are published."""

    arena: Arena
    id: int
    port: int
    port_v6: int

    def connect(self, asked: str = "", port: int = 0) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port or self.port), 20)
        if asked:
            connection.sendall(f"{asked}\n".encode())
        return connection

    def ask(self, asked: str, port: int = 0) -> str:
        with self.connect(asked, port) as connection:
            return connection.makefile().readline().strip()

    @property
    def connections(self) -> int:
        [entry] = [one for one in self.arena.client.list_agents() if one["id"] == self.id]
        return sum(port["connections"] for port in entry["published"])


def begin(arena: Arena, **fields: Any) -> Server:
    asked = [{"port": 8000, "host_port": 0}, {"port": 8001, "host_port": 0}]
    reply = arena.begin(SERVER, publish=asked, **fields)
    up = arena.client.follow_logs(reply["id"])
    assert next(line["text"] for line in up) == "up"
    ports = [one["host_port"] for one in reply["published"]]
    return Server(arena, reply["id"], *ports)


@pytest.fixture
def server(here: Arena) -> Server:
    return begin(here)


def refused(port: int) -> bool:
    """Nothing listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_published_port_leads_to_the_agents_own_loopback(server: Server) -> None:
    assert server.ask("echo hello") == "hello"
    assert server.ask("echo six", server.port_v6) == "six"  # what listens on ::1 alone
    with server.connect(f"send {3 * MEBI}") as connection:
        assert len(connection.makefile("rb").read()) == 3 * MEBI
    until(lambda: server.connections == 0, "the connections are counted no more")


def test_an_agent_publishes_nothing_itself(here: Arena) -> None:
    agent = here.spawn({"level": "unrestricted"})
    ask = """
from clove import CloveClient
from clove.errors import PermissionDenied
client = CloveClient()
try:
    {call}
    found = "done"
except PermissionDenied as error:
    found = error.rule
"""
    ports = "publish=[{'port': 8000, 'host_port': 0}]"
    sleep = "client.spawn('child', command=['sleep', '99'])"
    calls = {
        f"client.spawn('child', command=['sleep', '9'], {ports})": "publish",
        f"client.update_ports({sleep}['id'], {ports})": "publish",
        "client.update_ports('child', unpublish=[8000])": "publish",
        f"client.update_ports({agent.id}, {ports})": "ancestry",
    }
    for call, rule in calls.items():
        assert agent.ask("run", ask.format(call=call)) == rule, call
    assert [one["published"] for one in here.client.list_agents()] == [[], []]


def test_an_agent_does_not_reach_the_ports_of_another(server: Server) -> None:
    other = server.arena.spawn({"level": "unrestricted", "can_message": True}, network=True)
    code = f"import socket; socket.create_connection(('127.0.0.1', {server.port}), 5)"
    assert other.ask("run", code) == "ECONNREFUSED"  # its own loopback
    http = f"""
client = __import__("clove").CloveClient()
try:
    found = client.http("http://127.0.0.1:{server.port}/")["status"]
except __import__("clove").errors.PermissionDenied as error:
    found = "denied"
"""
    assert other.ask("run", http) == "denied"


def test_the_host_is_not_reached_through_a_published_port(server: Server) -> None:
    """The agent's side is its own loopback: neither the host's services, nor its own port there."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        for port in (service.getsockname()[1], server.port):
            assert server.ask(f"reach {port}") == "ConnectionRefusedError"
    assert server.ask("reach 8000") == "reached"


def test_a_port_on_which_nothing_listens_resets_and_the_log_says_why(here: Arena) -> None:
    reply = here.begin("import time; time.sleep(100)", publish=[{"port": 9, "host_port": 0}])
    with (
        contextlib.suppress(ConnectionResetError),
        socket.create_connection(("127.0.0.1", reply["published"][0]["host_port"]), 20) as one,
    ):
        assert one.recv(1) == b""
    line = next(here.client.follow_logs(reply["id"]))["text"]
    assert "nothing listens on port 9 in the sandbox" in line


def test_a_flood_of_connections_is_bounded(server: Server) -> None:
    before = rss(server.arena.kernel.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", server.port))
            with contextlib.suppress(OSError):
                connection.send(b"hold\n")
        until(lambda: server.connections >= 64, "as many as there may be are carried")
        assert server.connections == 64
        assert server.arena.client.list_agents()  # others are served
        assert rss(server.arena.kernel.pid) - before < 32 * MEBI
    until(lambda: server.connections < 64, "those that are closed make room")


def test_what_is_never_read_does_not_grow_in_the_kernel(server: Server) -> None:
    before = rss(server.arena.kernel.pid)
    with contextlib.ExitStack() as stack:
        sent = 0
        for _ in range(8):
            connection = stack.enter_context(server.connect("swallow"))
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while sent < 256 * MEBI:
                    sent += connection.send(bytes(MEBI))
            stack.enter_context(server.connect("flood"))  # and never read here
        assert sent < 256 * MEBI  # back-pressure
        assert server.ask("echo on") == "on"
        assert rss(server.arena.kernel.pid) - before < 32 * MEBI


def test_a_half_closed_connection_stays_and_ends_with_its_peer(server: Server) -> None:
    with server.connect("half") as connection:
        assert connection.recv(1) == b""
        connection.sendall(b"x" * MEBI)  # the other way goes on
        assert server.connections == 1
    until(lambda: server.connections == 0, "it ends with its client")


def test_a_revoked_port_is_closed_with_its_connections(server: Server) -> None:
    client = server.arena.client
    with server.connect("swallow") as connection:
        until(lambda: server.connections == 1, "it is carried")
        reply = client.update_ports(agent_id=server.id, unpublish=[server.port])
        assert [one["port"] for one in reply["published"]] == [8001]
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert refused(server.port)
    assert server.ask("echo stays", server.port_v6) == "stays"
    with pytest.raises(NotFound, match="not published"):
        client.update_ports(agent_id=server.id, unpublish=[server.port])
    again = [{"port": 8000, "host_port": server.port}]
    client.update_ports(agent_id=server.id, publish=again)
    assert server.ask("echo again") == "again"


def test_the_end_of_an_agent_closes_its_ports(server: Server) -> None:
    with server.connect("swallow") as connection:
        until(lambda: server.connections == 1, "it is carried")
        server.arena.client.kill(server.id)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert refused(server.port)
    assert refused(server.port_v6)


def test_a_restarted_agent_keeps_its_ports(server: Server) -> None:
    server.arena.client.restart(agent_id=server.id, grace=0)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return server.ask("echo back") == "back"
        return False

    until(answers, "it serves again")


def test_nothing_listens_when_the_kernel_was_killed() -> None:
    if not SANDBOXES:
        pytest.skip(NO_SANDBOX)
    with host(ROOT) as found:
        arena = Arena(**vars(found))
        server = begin(arena)
        assert server.ask("echo up") == "up"
        arena.kernel.stop(signal.SIGKILL)
        assert refused(server.port)
        arena.kernel.start()  # which removes what it finds, and ends as kernels do
