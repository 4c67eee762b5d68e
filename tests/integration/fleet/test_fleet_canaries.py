"""No token leaves the one answer that makes it: not to a log, a file, a process list, a metric or an audit log.

A whole fleet runs, with tokens of every kind, right and wrong ones, in the right places and in wrong ones;
then everything that it has left, and what it shows meanwhile, is searched for them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.fleet.tunnel_beside import Beside

MAIN = "from clove.cli.main import main; main()"
WAITS = "import time\nprint('up', flush=True)\ntime.sleep(100)\n"


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        fleet.join("one")
        yield fleet


class Search:
    """What was seen, and where."""

    def __init__(self, tokens: list[str]) -> None:
        self._secrets = [token.split("_")[2] for token in tokens]
        assert all(len(secret) == 43 for secret in self._secrets)
        self.found: list[str] = []
        self.places: set[str] = set()

    def look(self, where: str, seen: bytes) -> None:
        """A part of a token counts as well: twelve characters hold 71 bits."""
        self.places.add(where)
        for secret in self._secrets:
            if secret[:12].encode() in seen or secret[-12:].encode() in seen:
                self.found.append(where)

    def look_at_tree(self, directory: str, allowed: tuple[str, ...] = ()) -> None:
        for path in Path(directory).rglob("*"):
            if path.is_file() and path.name not in allowed:
                self.look(str(path), path.read_bytes())

    def look_at_processes(self) -> None:
        """Of all that there are; the test's own has its environment from outside."""
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ", "comm"):
                with contextlib.suppress(OSError):
                    self.look(f"{name} of {process.name}", (process / name).read_bytes())


def answers(fleet: Fleet) -> Iterator[tuple[str, bytes]]:
    """What the relay shows an administrator."""
    for path in (
        *("/metrics", "/api/v1/tokens", "/api/v1/machines", "/api/v1/machines/one"),
        *(
            "/api/v1/agents",
            "/api/v1/status",
            "/api/v1/openapi.json",
            "/api/v1/machines/one/agents",
        ),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {fleet.admin}"})
            yield path, connection.getresponse().read()


def wrong_uses(fleet: Fleet, token: str) -> Iterator[tuple[str, bytes]]:
    """A token where it does not belong, and what is said to that."""
    mistyped = token[:-1] + ("a" if token[-1] != "a" else "b")
    for method, path, headers in (
        ("GET", f"/api/v1/machines/{token}?token={token}", {}),
        ("DELETE", f"/api/v1/tokens/{token}", {"Authorization": f"Bearer {fleet.admin}"}),
        ("GET", "/api/v1/status", {"Authorization": f"Basic {token}"}),
        ("GET", "/api/v1/status", {"Authorization": f"Bearer {mistyped}"}),
        ("GET", f"/{token}", {"X-Token": token, "Cookie": token, "User-Agent": token}),
        (token, "/", {}),
        ("POST", "/api/v1/tokens/agent", {"Authorization": f"Bearer {fleet.admin}"}),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
        with contextlib.closing(connection):
            body = json.dumps({"target_machine": token, "bad": token})
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            if path != f"/api/v1/machines/{token}?token={token}":
                yield f"answer to {method[:6]} {path[:20]}", reply.read()
    for fields in (
        {"type": "agent_auth", "name": token, "token": mistyped, "target_machine": token},
        {"type": "kernel_auth", "machine_id": token, "token": mistyped},
        {"type": token},
    ):
        with PeerV1(fleet.hub_port) as peer:
            peer.say_text(json.dumps(fields).encode())
            yield "answer of the hub", json.dumps(peer.hear()).encode()


@contextlib.contextmanager
def command(fleet: Fleet, directory: Path, token: str) -> Iterator[subprocess.Popen[bytes]]:
    """`clove agent run`, whose user keeps the token where the docs say; its agent is up."""
    secrets = directory / "home" / ".config" / "clove" / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / "relay-token").touch(0o600)
    (secrets / "relay-token").write_text(token)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environ["HOME"] = str(directory / "home")
    environ["CLOVE_RELAY"] = f"http://127.0.0.1:{fleet.rest_port}"
    script = directory / "waits.py"
    script.write_text(WAITS)
    words = [sys.executable, "-c", MAIN, "agent", "run", str(script), "--machine", "one"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environ, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextlib.contextmanager
def beside(fleet: Fleet, directory: str) -> Iterator[str]:
    """A kernel whose tunnel is a process beside it; gives the token that it joined with."""
    found = Beside(directory, fleet, "two")
    found.kernel.start()
    try:
        found.start()
        yield Path(directory, "join").read_text()
    finally:
        found.stop()
        found.kernel.stop()


def look_while_it_runs(
    search: Search, fleet: Fleet, tokens: dict[str, str], tmp_path: Path
) -> None:
    """Everything that shows something, while every kind of token is in use."""
    with (
        RemoteClient(fleet.url, "one", token=tokens["agent"]) as remote,
        PeerV1(fleet.hub_port) as old,
        command(fleet, tmp_path, tokens["admin"]) as process,
    ):
        remote.spawn("waits", command=["sleep", "100"])
        old.say("kernel_auth", machine_id="old", token=tokens["machine"])
        assert old.hear()["type"] == "auth_ok"
        search.look_at_processes()
        for where, seen in (*answers(fleet), *wrong_uses(fleet, tokens["agent"])):
            search.look(where, seen)
        process.terminate()
        said, errors = process.communicate(timeout=30)
        search.look("the command", said + errors)


def look_at_kernel(search: Search, kernel: KernelProcess, token: str) -> None:
    """What it tells its operator, a join token that fails among it."""
    with CloveClient(kernel.socket) as operator:
        with pytest.raises(CloveError) as refused:
            operator.tunnel_connect("ws://127.0.0.1:1", "one", token)
        search.look("the operator's error", str(refused.value).encode())
        log = operator.get_audit_log(limit=10_000)
        assert log["entries"]
        search.look("the audit log", json.dumps(dict(log)).encode())
        search.look("status", repr((operator.tunnel_status(), operator.tunnel_config())).encode())


@pytest.mark.time_limit(120)
def test_no_token_is_anywhere_but_where_it_was_made(fleet: Fleet, tmp_path: Path) -> None:
    kernel = fleet.kernels[0]
    tokens = {
        "agent": fleet.agent_token("one"),
        "machine": fleet.ask("POST", "/machines", {"machine_id": "old"})["token"],
        "join": fleet.ask("POST", "/tokens/join", {"machine_id": "spare"})["token"],
        "admin": fleet.ask("POST", "/tokens/admin", {"name": "canary"})["token"],
        "first": fleet.admin,
        "joined": Path(kernel.directory, "join").read_text(),
    }
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        with beside(fleet, directory) as tokens["beside"]:
            search = Search([*tokens.values()])
            look_while_it_runs(search, fleet, tokens, tmp_path)
        search.look_at_tree(directory, ("join",))
    look_at_kernel(search, kernel, tokens["join"])
    with pytest.raises(CloveError) as failed:
        list(fleet.api(tokens["agent"]).tokens())
    search.look("an error of the client", repr(failed.value).encode())
    kernel.stop()
    fleet.end()
    shown = fleet.log
    assert shown.count(fleet.admin) == 1  # shown once, on what is the log here
    search.look("the relay's log", shown.replace(fleet.admin, "").encode())
    search.look_at_tree(fleet.directory, ("log",))
    search.look_at_tree(kernel.directory, ("join",))
    assert search.found == []
    assert any("relay.sqlite" in place for place in search.places)
    assert any("cmdline" in place for place in search.places)
