"""Names as a way out and as a trap: rows 15 and 16, with a resolver that the test owns.

The kernel asks this resolver and no other, so that every question that leaves it is seen, and
answers can change under it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.adversary.resolving import Names, asking, names
from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host
from tests.integration.gateway_upstream import Upstream, upstream

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root can give a kernel its own resolver"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare"),
]

HTTP = """
from clove import CloveClient
from clove.errors import CloveError
try:
    with CloveClient() as client:
        found = client.http({url!r}, timeout=10)["status_code"]
except CloveError as error:
    found = [error.code, getattr(error, "rule", None)]
"""
CONNECT = """
import socket
try:
    with socket.create_connection(({host!r}, {port}), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n")
        found = connection.recv(12).decode()
except (socket.gaierror, ConnectionError) as error:
    found = type(error).__name__
"""
_numbers = itertools.count()


@dataclass
class Trap:
    """A kernel, its resolver, and a server outside."""

    host: Host
    names: Names
    servers: Upstream

    def agent(self, *rules: str) -> Agent:
        permissions = {"allowed_domains": list(rules), "can_http": True}
        return self.host.spawn(permissions, network=True)

    def http(self, agent: Agent, url: str) -> Any:
        return agent.ask("run", HTTP.format(url=url))

    def connect(self, agent: Agent, name: str, port: int) -> Any:
        return agent.ask("run", CONNECT.format(host=name, port=port))


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def trap(request: pytest.FixtureRequest) -> Iterator[Trap]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        os.chmod(directory, 0o755)
        with (
            names() as server,
            upstream(directory) as servers,
            host(request.param, prefix=asking(directory)) as here,
        ):
            yield Trap(here, server, servers)


@pytest.fixture(autouse=True)
def forgotten(trap: Trap) -> Iterator[None]:
    trap.names.asked.clear()
    trap.names.answers.clear()
    trap.names.records.clear()
    yield
    for agent in trap.host.client.list_agents():
        trap.host.client.kill(agent["id"])


def test_names_that_no_rule_lists_are_not_asked_for(trap: Trap) -> None:
    port = trap.servers.plain.port
    trap.names.answers["listed.test"] = [["127.0.0.1"]]
    agent = trap.agent(f"listed.test:{port}", f"127.0.0.1:{port}")
    for name in ("secret-data.evil.test", "listed.test.evil.test", "x.listed.test", "evil.test."):
        assert trap.connect(agent, name, port) == "gaierror"
        assert trap.http(agent, f"http://{name}:{port}/")[0] == "permission_denied"
    assert trap.names.asked == []
    assert trap.connect(agent, "listed.test", port) == "HTTP/1.1 200"
    assert trap.http(agent, f"http://listed.test:{port}/") == 200
    assert set(trap.names.asked) == {"listed.test"}


def test_nothing_is_asked_for_an_agent_without_the_network(trap: Trap) -> None:
    agent = trap.host.spawn({"allowed_domains": ["listed.test"]})
    assert trap.connect(agent, "listed.test", 80) == "gaierror"
    assert trap.http(agent, "http://listed.test/")[0] == "permission_denied"
    assert trap.names.asked == []


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"], ["10.1.2.3"], ["0.0.0.0"]],
)
def test_a_listed_name_that_leads_inside_is_refused(trap: Trap, answer: list[str]) -> None:
    port = trap.servers.plain.port
    trap.servers.plain.seen.clear()
    trap.names.answers["listed.test"] = [answer]
    agent = trap.agent(f"listed.test:{port}")
    assert trap.connect(agent, "listed.test", port) == "ConnectionResetError"
    code, rule = trap.http(agent, f"http://listed.test:{port}/")
    assert (code, rule.split(":")[0]) == ("permission_denied", "address")
    assert trap.servers.plain.seen == []


def test_a_name_is_asked_for_once_and_dialled_as_it_was_judged(trap: Trap) -> None:
    port = trap.servers.plain.port
    trap.names.answers["listed.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    agent = trap.agent(f"listed.test:{port}", f"127.0.0.1:{port}")
    assert trap.http(agent, f"http://listed.test:{port}/") == 200
    assert trap.http(agent, f"http://listed.test:{port}/") == [
        "permission_denied",
        "address: metadata service",
    ]
    assert trap.connect(agent, "listed.test", port) == "ConnectionResetError"


def test_a_redirect_to_the_same_name_is_judged_again(trap: Trap) -> None:
    port = trap.servers.plain.port
    trap.names.answers["listed.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    agent = trap.agent(f"listed.test:{port}", f"127.0.0.1:{port}")
    url = f"http://listed.test:{port}/to/http://listed.test:{port}/"
    assert trap.http(agent, url) == ["permission_denied", "address: metadata service"]


QUERY = """
import socket, struct
name, kind = {name!r}, {kind}
labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split(".")) + bytes(1)
query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!2H", kind, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
    resolver.settimeout(10)
    resolver.sendto(query, ("127.0.0.53", 53))
    reply = resolver.recv(4096)
code, count = reply[3] & 15, struct.unpack_from("!H", reply, 6)[0]
found = [code, count, reply[len(query) + 12:].hex()]
"""
BY_TCP = QUERY.replace("SOCK_DGRAM", "SOCK_STREAM").replace(
    '    resolver.sendto(query, ("127.0.0.53", 53))\n    reply = resolver.recv(4096)\n',
    '    resolver.connect(("127.0.0.53", 53))\n'
    '    resolver.sendall(struct.pack("!H", len(query)) + query)\n'
    '    stream = resolver.makefile("rb")\n'
    '    reply = stream.read(int.from_bytes(stream.read(2), "big"))\n',
)
TXT, MX, SRV, HTTPS = 16, 15, 33, 65


def test_records_of_allowed_names_are_found_and_of_no_others(trap: Trap) -> None:
    trap.names.records |= {
        ("record.test", TXT): [b"\x02hi"],
        ("record.test", MX): [b"\0\x0a\x04mail\xc0\x0c"],
        ("_sip._tcp.record.test", SRV): [b"\0\1\0\2\x14\x66\x03sip\x06record\x04test\0"],
        ("record.test", HTTPS): [b"\0\1\0\0\1\0\3\2h2\0\5\0\3key"],
        ("other.test", TXT): [b"\x02no"],
    }
    agent = trap.agent("record.test")

    def asked(name: str, kind: int) -> Any:
        return agent.ask("run", QUERY.format(name=name, kind=kind))

    assert asked("record.test", TXT) == [0, 1, b"\x02hi".hex()]
    assert asked("record.test", MX) == [0, 1, b"\0\x0a\x04mail\x06record\x04test\0".hex()]
    assert asked("_sip._tcp.record.test", SRV)[:2] == [0, 1]
    assert asked("record.test", HTTPS) == [0, 1, b"\0\1\0\0\1\0\3\2h2".hex()]
    before = list(trap.names.asked)
    assert asked("other.test", TXT) == [3, 0, ""]
    assert asked("_x._tcp.other.test", SRV) == [3, 0, ""]
    assert asked("secret.record.test", TXT) == [3, 0, ""]
    assert asked("_a._b._c._d.record.test", TXT) == [3, 0, ""]
    assert trap.names.asked == before


def test_long_records_come_by_tcp(trap: Trap) -> None:
    texts = [bytes([200]) + bytes([number]) * 200 for number in (65, 66)]
    trap.names.records["long.test", TXT] = [*texts, b"\x60" + b"c" * 0x60]
    agent = trap.agent("long.test")
    assert agent.ask("run", QUERY.format(name="long.test", kind=TXT)) == [0, 0, ""]
    code, count, _ = agent.ask("run", BY_TCP.format(name="long.test", kind=TXT))
    assert (code, count) == (0, 3)
