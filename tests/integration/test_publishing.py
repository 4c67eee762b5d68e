"""Ports of agents on the host's loopback: SPAWN, UPDATE, `clove run --publish`, and what is refused."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Any

import pytest

from clove import CloveClient
from clove.client.call import Call
from clove.errors import InvalidRequest, LimitExceeded, Unavailable
from clove.framing import Opcode
from tests.integration.commands import clove
from tests.integration.conftest import SLEEP, KernelProcess, running_kernel
from tests.sandboxes import NEEDS_SANDBOX

__all__ = ["clove"]

pytestmark = NEEDS_SANDBOX
ANSWER = (
    "import socket\ns = socket.create_server(('', 8000))\nprint('up', flush=True)\n"
    "while True:\n    s.accept()[0].sendall(b'answer')\n"
)
HOLD = (
    "import socket\ns = socket.create_server(('', 8000))\nprint('up', flush=True)\nheld = []\n"
    "while True:\n    held.append(s.accept()[0])\n    held[-1].sendall(b'x')\n"
)
FREE: dict[str, Any] = {"port": 8000, "host_port": 0}


def ask(port: int, host: str = "127.0.0.1") -> bytes:
    with socket.create_connection((host, port), 20) as connection:
        return connection.recv(100)


def until_up(client: CloveClient, name: str) -> None:
    assert next(line for line in client.follow_logs(name) if line["text"] == "up")


def test_ports_are_at_the_addresses_that_are_asked_for(client: CloveClient, script: Any) -> None:
    asked = [FREE, {**FREE, "host": "::1"}, {**FREE, "host": "127.9.9.9"}]
    reply = client.spawn("served", script(ANSWER), publish=asked)
    until_up(client, "served")
    found = [(one["host"], one["port"]) for one in reply["published"]]
    assert found == [("127.0.0.1", 8000), ("::1", 8000), ("127.9.9.9", 8000)]
    for one in reply["published"]:
        assert ask(one["host_port"], one["host"]) == b"answer"
    [entry] = client.list_agents()
    assert client.inspect("served")["agent"]["published"] == entry["published"]
    assert [one["host_port"] for one in entry["published"]] == [
        one["host_port"] for one in reply["published"]
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost", "127.0.0.1 "])
def test_nothing_is_published_beyond_the_hosts_loopback(
    client: CloveClient, script: Any, host: str
) -> None:
    with pytest.raises(InvalidRequest, match="loopback"):
        client.spawn("open", script(SLEEP), publish=[FREE, {**FREE, "host": host}])
    assert client.list_agents() == []


def test_a_port_in_use_fails_the_spawn_and_leaves_nothing(client: CloveClient, script: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"127.0.0.1:{number} of the host is in use"):
            client.spawn("late", script(SLEEP), publish=[{"port": 80, "host_port": number}])
    assert client.list_agents() == []
    reply = client.spawn("late", script(ANSWER), publish=[{"port": 8000, "host_port": number}])
    until_up(client, "late")
    assert ask(reply["published"][0]["host_port"]) == b"answer"


def test_ports_are_of_a_network_of_the_agents_own(client: CloveClient, script: Any) -> None:
    kinds: list[dict[str, Any]] = [{"sandboxed": False}, {"allow_degraded": True}]
    for fields in kinds:
        with pytest.raises(InvalidRequest, match=r"publish|listens on the host"):
            client.spawn("bare", script(SLEEP), publish=[FREE], **fields)
    client.spawn("bare", script(SLEEP), sandboxed=False)
    with pytest.raises(InvalidRequest, match="listens on the host"):
        client.update_ports("bare", [FREE])


def test_what_is_published_is_in_the_audit_log(client: CloveClient, script: Any) -> None:
    number = client.spawn("seen", script(SLEEP), publish=[FREE])["published"][0]["host_port"]
    client.update_ports("seen", unpublish=[number])
    entries = client.get_audit_log(limit=20)["entries"]
    said = {one["event_type"]: one["details"] for one in entries}
    assert "port=8000" in said["SPAWN"]["publish"]
    assert str(number) in said["UPDATE"]["unpublish"]


def test_fields_that_are_misspelt_or_out_of_range_are_refused(
    client: CloveClient, script: Any
) -> None:
    for wrong in ({"prot": 80}, {"port": 0}, {"port": 80, "host_port": 70000}, {}):
        with pytest.raises(InvalidRequest):
            client.spawn("wrong", script(SLEEP), publish=[wrong])


def test_ports_come_and_go_while_an_agent_runs(client: CloveClient, script: Any) -> None:
    client.spawn("later", script(ANSWER))
    until_up(client, "later")
    [port] = client.update_ports("later", [FREE])["published"]
    assert ask(port["host_port"]) == b"answer"
    reply = client.update_limits("later", {"tmp": 8 << 20})
    assert [one["host_port"] for one in reply["published"]] == [port["host_port"]]
    assert client.update_ports("later", unpublish=[port["host_port"]])["published"] == []
    with pytest.raises(ConnectionRefusedError):
        ask(port["host_port"])
    with pytest.raises(InvalidRequest, match="needs `limits`, `publish` or `unpublish`"):
        client.update_ports("later")


def test_a_refused_limit_leaves_the_ports_as_they_were(client: CloveClient, script: Any) -> None:
    agent = client.spawn("kept", script(ANSWER), publish=[FREE], degrade=["limits"])
    number = agent["published"][0]["host_port"]
    until_up(client, "kept")
    fields = {"name": "kept", "limits": {"memory": 1 << 20}}
    for change in ({"unpublish": [number]}, {"publish": [FREE]}):
        with pytest.raises(InvalidRequest, match="would kill"):
            client.ask(Call(Opcode.UPDATE, {**fields, **change}))
    [port] = client.inspect("kept")["agent"]["published"]
    assert (port["host_port"], ask(number)) == (number, b"answer")


def test_a_refused_port_leaves_the_others_and_the_limits(client: CloveClient, script: Any) -> None:
    number = client.spawn("kept", script(ANSWER), publish=[FREE])["published"][0]["host_port"]
    until_up(client, "kept")
    before = client.inspect("kept")["limits"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = {"port": 8000, "host_port": taken.getsockname()[1]}
        fields = {"publish": [FREE, used], "unpublish": [number], "limits": {"tmp": 8 << 20}}
        with pytest.raises(Unavailable, match="in use"):
            client.ask(Call(Opcode.UPDATE, {"name": "kept", **fields}))
    [port] = client.inspect("kept")["agent"]["published"]
    assert (port["host_port"], ask(number)) == (number, b"answer")
    assert client.inspect("kept")["limits"] == before


def test_a_port_of_the_host_leads_elsewhere_after_one_update(
    client: CloveClient, script: Any
) -> None:
    [port] = client.spawn("moved", script(ANSWER), publish=[{**FREE, "port": 9}])["published"]
    until_up(client, "moved")
    number = port["host_port"]
    there = {"port": 8000, "host_port": number}
    with pytest.raises(Unavailable, match="in use"):
        client.update_ports("moved", [there, there], [number])
    with pytest.raises(ConnectionResetError):
        ask(number)
    [port] = client.update_ports("moved", [there], [number])["published"]
    assert (port["port"], port["host_port"], ask(number)) == (8000, number, b"answer")


CONFIG = """
[limits.publish]
ports = 2
all_ports = 6
all_connections = 4
"""


@pytest.fixture(scope="module")
def narrow() -> Any:
    with running_kernel(CONFIG) as kernel, CloveClient(kernel.socket) as client:
        yield kernel, client


def test_ports_are_bounded_for_an_agent_and_for_all(
    narrow: tuple[KernelProcess, CloveClient], tmp_path: Any
) -> None:
    _, client = narrow
    program = ["sleep", "100"]
    with pytest.raises(LimitExceeded, match="at most 2 published ports"):
        client.spawn("many", command=program, publish=[FREE] * 3)
    for name in ("one", "two", "three"):
        client.spawn(name, command=program, publish=[FREE] * 2)
    with pytest.raises(LimitExceeded, match="6 published ports already"):
        client.spawn("four", command=program, publish=[FREE])
    client.kill("one")
    client.spawn("four", command=program, publish=[FREE])
    client.update_ports("four", [FREE])
    for _ in range(7):  # as many as leave come, where there is no room for one more
        two = [one["host_port"] for one in client.inspect("two")["agent"]["published"]]
        assert len(client.update_ports("two", [FREE] * 2, two)["published"]) == 2
    with pytest.raises(LimitExceeded, match="at most 2 published ports"):
        client.update_ports("two", [FREE])


def test_a_family_has_its_share_of_the_connections(
    narrow: tuple[KernelProcess, CloveClient], tmp_path: Any
) -> None:
    """Two of four: one more is reset, another family's is carried."""
    _, client = narrow
    for agent in client.list_agents():
        client.kill(agent["id"])
    path = tmp_path / "hold.py"
    path.write_text(HOLD)
    ports = {}
    for name in ("greedy", "modest"):
        reply = client.spawn(name, str(path), publish=[FREE])
        ports[name] = reply["published"][0]["host_port"]
        until_up(client, name)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", ports["greedy"]), 20))
            assert held.recv(1) == b"x"
        more = stack.enter_context(socket.create_connection(("127.0.0.1", ports["greedy"]), 20))
        with contextlib.suppress(ConnectionResetError):
            assert more.recv(1) == b""
        assert ask(ports["modest"]) == b"x"
    last = client.logs("greedy")["lines"][-1]["text"]
    assert "connections to published ports, its share is 2 of 4" in last


def test_clove_run_publishes_and_ps_inspect_and_update_show_it(clove: Any, script: Any) -> None:
    ran = clove("run", "--detach", "--name", "web", "--publish", "0:8000", script(ANSWER))
    assert ran.returncode == 0, ran.stderr
    [port] = re.findall(r"published: 127\.0\.0\.1:(\d+)->8000", ran.stderr)
    clove("logs", "web")
    shown = f"127.0.0.1:{port}->8000"
    assert shown in clove("ps").stdout
    assert re.search(
        rf"^published +{re.escape(shown)}", clove("inspect", "web").stdout, re.MULTILINE
    )
    revoked = clove("update", "--unpublish", port, "web")
    assert revoked.stdout.strip() == "updated web (no port of it is published)"
    assert shown not in clove("ps").stdout
    again = clove("update", "--publish", f"{port}:8000", "web")
    assert again.stdout.strip() == f"updated web (published: {shown})"
    clove("kill", "web")
    wrong = clove("run", "--publish", "0.0.0.0:80:80", "--", "true")
    assert (wrong.returncode, "loopback alone" in wrong.stderr) == (2, True)
