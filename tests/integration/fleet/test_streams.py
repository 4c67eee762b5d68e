"""Streams of deployed agents: every byte, in order, at the reader's pace, over cuts on either side."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.client.fleet import FleetClient
from clove.errors import AlreadyExists, CloveError, NotFound, Unavailable
from tests.integration.fleet.cutting_proxy import CuttingProxy
from tests.integration.fleet.fleet_processes import CONFIG, Fleet, running_fleet
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.fleet.test_deploying import events
from tests.waiting import until

WAITS = "import time\nprint('up', flush=True)\ntime.sleep(100)\n"
COUNTS = (
    "import time\nfor number in range(40):\n    print(number, flush=True)\n    time.sleep(0.2)\n"
)
PIECE = 1 << 16
FLOOD = (
    "import os, sys\n"
    "for number in range(int(sys.argv[2])):\n"
    f"    rest = bytes([number % 251]) * {PIECE}\n"
    "    while rest:\n"
    "        rest = rest[os.write(1, rest):]\n"
)


def flood_digest(count: int) -> str:
    whole = hashlib.sha256()
    for number in range(count):
        whole.update(bytes([number % 251]) * PIECE)
    return whole.hexdigest()


@pytest.fixture(scope="module")
def proxied() -> Iterator[tuple[Fleet, CuttingProxy]]:
    """A relay with a machine, and what its tunnel goes through."""
    fleet = Fleet(f"{CONFIG}[limits.rest]\nstream_seconds = 5.0\nrate = 10000.0\n")
    with contextlib.ExitStack() as undo:
        undo.callback(fleet.stop)
        fleet.start()
        proxy = CuttingProxy(fleet.hub_port)
        undo.callback(proxy.stop)
        fleet.tunnel_url = f"ws://127.0.0.1:{proxy.port}"
        fleet.join("one")
        yield fleet, proxy


@pytest.fixture
def fleet(proxied: tuple[Fleet, CuttingProxy]) -> Fleet:
    return proxied[0]


@pytest.fixture
def admin(fleet: Fleet) -> FleetClient:
    return fleet.api()


@pytest.fixture
def through(fleet: Fleet) -> Iterator[tuple[FleetClient, CuttingProxy]]:
    """A client whose connections can be cut."""
    proxy = CuttingProxy(fleet.rest_port)
    yield FleetClient(f"http://127.0.0.1:{proxy.port}", fleet.admin), proxy
    proxy.stop()


def deploy(client: FleetClient, text: str, **more: Any) -> int:
    return int(client.deploy("one", "work.py", text, attach=True, **more)["agent_id"])


def text_of(stream: Iterator[tuple[str, Any]], size: int) -> bytes:
    """The next so many bytes of it."""
    found = b""
    while len(found) < size:
        found += next(fields for kind, fields in stream if kind == "output")["data"]
    return found


def memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10


def test_bytes_come_as_they_were_written_then_the_exit(admin: FleetClient) -> None:
    text = (
        "import os, time\nos.write(1, b'a\\xff\\x00')\ntime.sleep(0.2)\nos.write(2, b'no newline')\n"
        "raise SystemExit(3)\n"
    )
    found = list(admin.stream("one", deploy(admin, text), attach=True))
    output = [(each["stream"], each["data"]) for kind, each in found if kind == "output"]
    assert output == [("stdout", b"a\xff\x00"), ("stderr", b"no newline")]
    assert found[0][0] == "status"
    assert (found[-1][0], found[-1][1]["exit_code"]) == ("exit", 3)
    assert "lost" not in [kind for kind, _ in found]


def test_a_reader_that_sleeps_holds_the_agent_and_loses_nothing(
    admin: FleetClient, fleet: Fleet
) -> None:
    count = 20 << 20 >> 16
    assert fleet.process is not None
    pids = (fleet.process.pid, fleet.kernels[0].pid)
    before = [memory(pid) for pid in pids]
    agent = deploy(admin, FLOOD, args=[str(count)])
    whole, size = hashlib.sha256(), 0
    stream = admin.stream("one", agent, attach=True)
    for kind, fields in stream:
        assert kind in ("status", "output", "exit")
        if kind == "output" and not size:
            time.sleep(2)  # what it holds then is full
            assert agent in [each["id"] for each in admin.machine_agents("one")]
        if kind == "output":
            whole.update(fields["data"])
            size += len(fields["data"])
    assert (size, whole.hexdigest()) == (count * PIECE, flood_digest(count))
    for pid, earlier in zip(pids, before, strict=True):
        assert memory(pid) - earlier < 20 << 20


def read_whole(client: FleetClient, agent: int, found: list[Any]) -> None:
    whole, last = hashlib.sha256(), ""
    try:
        for kind, fields in client.stream("one", agent, attach=True):
            last = kind
            if kind == "output":
                whole.update(fields["data"])
                time.sleep(0.002)  # so that much is under way when a connection is cut
            elif kind == "lost":
                raise AssertionError(f"{fields} is lost")
    except CloveError as error:
        found.append(error)
        return
    found.append((last, whole.hexdigest()))


@pytest.mark.parametrize("side", ["reader", "kernel"])
def test_nothing_is_lost_or_doubled_over_cuts(
    proxied: tuple[Fleet, CuttingProxy], through: tuple[FleetClient, CuttingProxy], side: str
) -> None:
    client, proxy = through
    cut = proxy if side == "reader" else proxied[1]
    count = 30 << 20 >> 16
    found: list[Any] = []
    agent = deploy(client, FLOOD, args=[str(count)])
    work = threading.Thread(target=read_whole, args=(client, agent, found))
    work.start()
    cuts = 0
    while work.is_alive():
        time.sleep(0.1)
        if cuts < 4:
            cut.cut()
            cuts += 1
    work.join()
    assert found == [("exit", flood_digest(count))]
    assert cuts


def test_the_same_comes_as_server_sent_events_that_go_on_behind_the_last(
    admin: FleetClient, fleet: Fleet
) -> None:
    agent = deploy(admin, "for number in range(5):\n    print(number, flush=True)\n")
    path = f"/api/v1/agents/{agent}/stream?machine_id=one&attach=true"
    with events(fleet, path) as stream:
        found = list(stream)
    output = [(number, each) for kind, number, each in found if kind == "output"]
    text = b"".join(base64.b64decode(each["data"]) for _, each in output)
    assert (text, output[-1][0]) == (b"0\n1\n2\n3\n4\n", "10")
    assert (found[0][0], found[-1][0], found[-1][2]["exit_code"]) == ("status", "exit", 0)
    with events(fleet, path, "6") as stream:
        again = [base64.b64decode(each["data"]) for kind, _, each in stream if kind == "output"]
    assert b"".join(again) == b"3\n4\n"


def websocket(fleet: Fleet, path: str, headers: str = "") -> PeerV1:
    bearer = f"Authorization: Bearer {fleet.admin}\r\n"
    return PeerV1(fleet.rest_port, bearer + headers, path)


def test_a_websocket_is_closed_that_says_what_makes_no_sense(
    admin: FleetClient, fleet: Fleet
) -> None:
    agent = deploy(admin, WAITS)
    path = f"/api/v1/agents/{agent}/stream?machine_id=one&attach=true"
    for said in (b"{", b'{"taken": 99}', b'{"taken": -1}', b"[" * 1000, b"x" * 2000, b'{"a": 1}'):
        peer = websocket(fleet, path)
        assert peer.status == 101
        peer.say_text(said)
        with peer, contextlib.suppress(EOFError, OSError):
            while True:
                peer.hear()
    admin.stop_agent("one", agent)
    assert "Traceback" not in fleet.log


def test_a_page_of_another_site_gets_no_websocket(admin: FleetClient, fleet: Fleet) -> None:
    path = "/api/v1/agents/1/stream?machine_id=one"
    for headers in (
        "Origin: https://evil.example\r\n",
        f"Origin: http://127.0.0.1:{fleet.rest_port}\r\n",
    ):
        peer = websocket(fleet, path, headers)
        assert peer.status in (403, 404)
        peer.close()
    peer = PeerV1(fleet.rest_port, "", path)
    assert peer.status == 401
    peer.close()


def test_a_second_reader_with_the_token_takes_the_stream_over(admin: FleetClient) -> None:
    agent = deploy(admin, WAITS)
    first = admin.stream("one", agent, attach=True)
    assert text_of(first, 3) == b"up\n"
    second = admin.stream("one", agent, attach=True)
    assert text_of(second, 3) == b"up\n"
    with pytest.raises(AlreadyExists, match="another reader"):
        for _ in first:
            pass
    second.close()  # type: ignore[attr-defined] # it is a generator
    admin.stop_agent("one", agent)


def test_another_token_is_refused_while_one_is_attached(admin: FleetClient, fleet: Fleet) -> None:
    url = f"http://127.0.0.1:{fleet.rest_port}"
    other = FleetClient(url, fleet.ask("POST", "/tokens/admin", {})["token"])
    agent = deploy(admin, WAITS)
    stream = admin.stream("one", agent, attach=True)
    next(stream)
    with pytest.raises(AlreadyExists):
        next(other.stream("one", agent, attach=True))
    onlooker = other.stream("one", agent)
    assert text_of(onlooker, 3) == b"up\n"
    for each in (onlooker, stream):
        each.close()  # type: ignore[attr-defined] # it is a generator
    admin.stop_agent("one", agent)


def test_a_stream_that_nothing_reads_any_more_lets_the_agent_go_on(
    admin: FleetClient, fleet: Fleet
) -> None:
    agent = deploy(admin, FLOOD, args=["200"])
    stream = admin.stream("one", agent, attach=True)
    next(stream)
    stream.close()  # type: ignore[attr-defined] # it is a generator
    until(
        lambda: agent not in [each["id"] for each in admin.machine_agents("one")],
        "the agent has ended",
    )


def test_states_are_told_as_they_change(admin: FleetClient, fleet: Fleet) -> None:
    text = "import time\nprint('up', flush=True)\ntime.sleep(0.3)\nraise SystemExit(1)\n"
    agent = deploy(admin, text, restart_policy="on-failure")
    states: list[str] = []
    for kind, fields in admin.stream("one", agent, attach=True):
        if kind == "status":
            states.append(fields["state"])
        if states[-2:] == ["restarting", "running"]:
            admin.stop_agent("one", agent)
            break
    assert states[0] == "running"


def test_what_cannot_be_streamed_is_a_reply_and_no_event(admin: FleetClient) -> None:
    with pytest.raises(NotFound):
        next(admin.stream("one", 999_999_999, attach=True))
    admin.add_machine("absent")
    with pytest.raises(Unavailable):
        next(admin.stream("absent", 1))


def test_a_relay_that_starts_anew_goes_on_with_what_the_kernel_holds() -> None:
    with running_fleet() as fleet:
        fleet.join("one")
        admin = fleet.api()
        agent = deploy(admin, COUNTS)
        text = b""
        restarted = False
        for kind, fields in admin.stream("one", agent, attach=True):
            assert kind != "lost"
            if kind == "output":
                text += fields["data"]
            if text.count(b"\n") > 3 and not restarted:
                restarted = True
                fleet.restart()
        assert text == "".join(f"{number}\n" for number in range(40)).encode()
