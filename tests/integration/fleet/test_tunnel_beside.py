"""`twistd clove-tunnel`: callers come to the kernel through another process, and are no more for that."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import PermissionDenied
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.tunnel_beside import Beside, running_beside
from tests.waiting import until

CALLER = {"id": 1, "name": "somebody", "token_id": "abc"}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.fixture(scope="module")
def beside(fleet: Fleet) -> Iterator[Beside]:
    with running_beside(fleet, "beside") as beside:
        yield beside


def test_a_remote_caller_is_served_within_what_the_kernel_allows(
    fleet: Fleet, beside: Beside
) -> None:
    with fleet.client("beside", name="test") as client:
        client.spawn("hello", command=["echo", "hello"])
        assert [line["text"] for line in client.follow_logs("hello")] == ["hello"]
        with CloveClient(beside.kernel.socket) as operator:
            assert [each["name"] for each in operator.tunnel_remotes()["agents"]] == ["test"]
        with pytest.raises(PermissionDenied):
            client.read_file("/etc/passwd")


def test_much_comes_through_in_both_directions(fleet: Fleet, beside: Beside) -> None:
    with fleet.client("beside") as client:
        text = "x" * 500_000
        for number in range(8):
            client.store(f"key{number}", text)
        assert all(client.fetch(f"key{number}")["value"] == text for number in range(8))


def test_the_socket_is_the_kernels_users_alone(beside: Beside) -> None:
    facts = os.stat(beside.callers)
    assert (facts.st_mode & 0o777, facts.st_uid) == (0o600, os.geteuid())


@contextlib.contextmanager
def connected(path: str, line: bytes) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(20)
        end.connect(path)
        with contextlib.suppress(BrokenPipeError):
            end.sendall(line)
        yield end


def said(**fields: Any) -> bytes:
    return json.dumps({"relay": "wss://r:1/", **fields}).encode() + b"\n"


def test_the_first_line_makes_a_remote_caller_of_an_operator(beside: Beside) -> None:
    with connected(beside.callers, said(caller={**CALLER, "permissions": {}})) as end:
        assert end.recv(100) == b"{}\n"
        client = CloveClient(beside.kernel.socket)
        number = 0
        with client:
            until(
                lambda: "somebody" in [each["name"] for each in client.tunnel_remotes()["agents"]],
                "the caller is there",
            )
            number = next(
                each["agent_id"]
                for each in client.tunnel_remotes()["agents"]
                if each["name"] == "somebody"
            )
        assert number >= 2**31


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"[" * 20000 + b"\n",
        b"x" * 70000,
        said(caller={"id": 1}),
        said(caller={**CALLER, "kind": "operator"}, operator=True),
        said(caller=CALLER) + b"more",
    ],
    ids=["empty", "object", "nested", "long", "nameless", "unknown", "ahead"],
)
def test_what_is_no_first_line_is_refused(beside: Beside, line: bytes) -> None:
    with connected(beside.callers, line) as end:
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := end.recv(4096):
                answer += piece
        assert not answer or json.loads(answer)["error"]


AGENT = """
import socket, sys
end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[2])
print(end.recv(1000).decode(), flush=True)
"""


def test_an_agent_of_the_kernels_own_user_is_no_tunnel(beside: Beside, tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text(AGENT)
    with CloveClient(beside.kernel.socket) as operator:
        operator.spawn("inner", str(script), args=[beside.callers], sandboxed=False)
        operator.wait("inner", timeout=20)
        lines = [line["text"] for line in operator.logs("inner")["lines"]]
    assert json.loads(lines[0])["error"].startswith("Permission denied: this socket is"), lines


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_another_user_is_refused_even_where_it_can_connect(beside: Beside) -> None:
    code = (
        "import os, socket, sys\nend = socket.socket(socket.AF_UNIX)\n"
        "os.setresuid(65534, 65534, 65534)\n"
        "try: end.connect(sys.argv[1])\nexcept PermissionError: sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, beside.callers], check=False)
    assert done.returncode == 7


def test_a_machine_is_not_connected_while_its_kernel_is_gone(fleet: Fleet) -> None:
    with running_beside(fleet, "restarted") as beside:
        beside.kernel.stop()
        until(lambda: beside.presence() != "connected", "its pings are not answered")
        beside.kernel.start()
        until(lambda: beside.presence() == "connected", "they are answered again")
