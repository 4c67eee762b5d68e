"""One family takes all that it can get of each resource that is shared; others go on.

docs/shares.md lists the resources. Here the totals are low, so that one agent can take its
family's share alone; how shares are counted over a family's agents is tested in tests/unit.
"""

from __future__ import annotations

import math
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest
from tests.adversary.share_floods import FLOODS, PROLOGUE, Flood
from tests.adversary.witness import rss
from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

CONFIG = """
[egress.hosts]
"slow.test" = "127.0.0.1"

[limits.agents]
max_agents = 16

[limits.exec]
total = 8

[limits.threads]
per_caller = 16
per_family = 32

[limits.http]
max_concurrent = 8

[limits.gateway]
all_connections = 8

[limits.mail]
max_total_bytes = 2097152

[limits.state]
max_keys = 64
max_bytes = 4194304

[limits.results]
all_bytes = 1048576

[limits.connection]
max_connections = 64
operator_connections = 8
all_buffers = 4194304
"""
SLEEPER = "import time; time.sleep(600)"


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param), CONFIG) as running:
        yield running


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    """Without agents before and after."""
    with kernel_host.emptied():
        yield kernel_host


def agent(here: Host, *ports: int, **fields: Any) -> Agent:
    """An agent that the operator spawned: a family of its own.

    @param ports: of this machine that it may connect to.
    """
    rules = [f"{name}:{port}" for name in ("slow.test", "127.0.0.1") for port in (1, *ports)]
    return here.spawn({"level": "unrestricted", "allowed_domains": rules}, **fields)


def sleeper(here: Host, name: str) -> str:
    """Spawn an agent that only sleeps; its script."""
    script = here.file(f"{name}.py", SLEEPER)
    here.client.spawn(name, script)
    return script


def as_operator(here: Host, use: str, **names: Any) -> Any:
    """Run the code of a use on the kernel's main socket."""
    found: dict[str, Any] = {}
    exec(f"import os, sys\nsys.argv[1:] = ['']\n{PROLOGUE}", found)
    found |= {"path": here.kernel.socket, **names}
    exec(use, found)
    return found["found"]


@pytest.mark.parametrize("resource", FLOODS.values(), ids=FLOODS)
def test_a_family_that_takes_all_leaves_room_to_another_and_to_the_operator(
    here: Host, resource: Flood, stuck_port: int
) -> None:
    script = sleeper(here, "sink")
    victim, hog = agent(here), agent(here, stuck_port)
    names = f"place, port, script = '/workspace/f', {stuck_port}, None\n"
    told = hog.ask("run", PROLOGUE + names + resource.code)
    if resource.refusal:
        assert re.search(resource.refusal, told), told
    for _ in range(2):
        assert victim.ask("run", PROLOGUE + names + resource.use) == "served"
    place = here.file("operators", "")
    assert as_operator(here, resource.use, place=place, script=script) == "served"
    assert here.client.kill(hog.id)["killed"]


SERVED = """
import socket
import time
with socket.create_connection(("slow.test", {port}), 15) as one:
    one.settimeout(15)
    one.sendall(b"\\x00 neither HTTP nor TLS")
    found = one.recv(1).hex()
"""
CONNECTIONS = """
import select, socket, time
held, found = set(), 0
for _ in range(8):
    try:
        held.add(socket.create_connection(("slow.test", {port}), 15))
    except ConnectionResetError:
        found += 1
end = time.monotonic() + 15
while found < 4 and time.monotonic() < end:
    for one in select.select(held, [], [], 1)[0]:
        try:
            one.recv(1)
        except ConnectionResetError:
            held.remove(one)
            found += 1
"""


def test_a_familys_connections_to_hosts_leave_room_to_another(here: Host, stuck_port: int) -> None:
    hog = agent(here, stuck_port, network=True)
    assert hog.ask("run", CONNECTIONS.format(port=stuck_port)) == 4
    text = "".join(line["text"] for line in here.client.logs(hog.id)["lines"])
    assert "your family of agents has 4 connections to hosts" in text
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(15)
        port = server.getsockname()[1]
        victim = agent(here, port, network=True)
        here.client.send_message({"ask": ["run", SERVED.format(port=port)]}, to=victim.id)
        connection, _ = server.accept()
        with connection:
            connection.sendall(connection.recv(1))
        [mail] = here.client.recv_messages(wait=20)["messages"]
    assert mail["message"]["answer"] == "00"


RESTARTING = """
from clove import CloveClient
open("/workspace/s.py", "w").write("")
with CloveClient() as client:
    for number in range(4):
        client.spawn(
            f"child-{number}", "/workspace/s.py", permissions="minimal", warm=False,
            restart_policy="always", max_restarts=10_000, restart_window=1,
        )
found = "spawned"
"""


def test_agents_that_end_at_once_are_started_at_a_pace_also_without_their_parent(
    here: Host,
) -> None:
    hog = agent(here)
    began = time.monotonic()
    assert hog.ask("run", RESTARTING) == "spawned"
    here.client.kill(hog.id)
    here.client.recv_messages(wait=3)
    sleeper(here, "mine")
    children = [one for one in here.client.list_agents() if one["name"].startswith("child")]
    assert len(children) == 4
    pace = 1 + math.log2(1 + time.monotonic() - began)  # the next waits 1, 2, 4 … seconds
    assert max(one["restarts"] for one in children) <= pace


def test_a_window_that_bounds_nothing_is_refused(here: Host) -> None:
    script = here.file("once.py", "")
    with pytest.raises(InvalidRequest, match="restart_window"):
        here.client.spawn("once", script, restart_policy="always", restart_window=1e-9)
    with pytest.raises(InvalidRequest, match="max_restarts"):
        here.client.spawn("once", script, restart_policy="always", max_restarts=1_000_000)


MIB = 1 << 20
MEMORY = f"""
[limits.connection]
all_buffers = {32 * MIB}

[limits.mail]
max_total_bytes = {16 * MIB}

[limits.state]
max_bytes = {16 * MIB}
"""
CHILD = """
frame = encode(0, Opcode.STORE, bytes(1 << 20))
noop = encode(0, Opcode.NOOP, bytes(1 << 16)) * 15
for number in range(30):
    for data in (frame[:1_000_000], noop * 4):
        one = connected()
        one.settimeout(0.1)
        try:
            one.sendall(data)
        except OSError:
            pass
again(lambda client, n: client.store(f"{os.getpid()}-{n}", "x" * 1_000_000), 60)
again(lambda client, n: client.send_message("x" * 1_000_000, to="sink"), 60)
print("held", flush=True)
time.sleep(600)
"""
FAMILY = """
with open("/workspace/child.py", "w") as file:
    file.write({code!r})
with CloveClient(path) as client:
    found = [
        client.spawn(f"child-{{number}}", "/workspace/child.py", permissions="standard")["id"]
        for number in range(4)
    ]
"""


def until_printed(here: Host, agent_id: int) -> None:
    """Wait until an agent has printed a line."""
    for _ in range(600):
        if here.client.logs(agent_id)["lines"]:
            return
        here.client.recv_messages(wait=0.05)
    raise AssertionError(f"agent {agent_id} has not come so far")


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_a_family_of_many_makes_the_kernel_hold_no_more_than_its_shares(who: str) -> None:
    """Four agents each try to have 30 requests of 1 MB received in part, 3.7 MB of replies unread
    on each of 30 connections, and 60 MB of keys and of messages: 1 GB."""
    with host(who, MEMORY) as here, here.emptied():
        sleeper(here, "sink")
        hog = here.spawn("unrestricted")
        before = rss(here.kernel.pid)
        children = hog.ask("run", PROLOGUE + FAMILY.format(code=PROLOGUE + CHILD))
        for child in children:
            until_printed(here, child)
        assert rss(here.kernel.pid) - before < 64 * MIB  # its shares are 14 MiB altogether
        assert as_operator(here, FLOODS["bytes of keys"].use) == "served"


def test_every_resource_of_the_page_has_a_flood() -> None:
    """docs/shares.md names the test that drives each to its bound."""
    page = (Path(__file__).parents[2] / "docs" / "shares.md").read_text()
    named = set(re.findall(r"`test_share_floods.py` \(([^)]*)\)", page))
    assert named == set(FLOODS) | {"connections to hosts", "restarts"}
