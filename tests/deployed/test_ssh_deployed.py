"""A machine by ssh: deployed, used, taken to another version and back, taken away; in the three ways that there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployed.far_machine import FarMachine, far_machine
from tests.integration.fleet.fleet_processes import Fleet
from tests.waiting import until

WAYS = {
    "root": ("root", ()),
    "sudo": ("ann", ()),
    "user": ("bob", ("--user-units",)),
    "background": ("ann", ()),
}


@pytest.fixture(scope="module")
def plain() -> Iterator[FarMachine]:
    with far_machine("plain") as machine:
        yield machine


@pytest.fixture(params=WAYS)
def way(
    request: pytest.FixtureRequest, far: FarMachine, plain: FarMachine
) -> tuple[str, FarMachine, str, tuple[str, ...]]:
    user, words = WAYS[request.param]
    return request.param, plain if request.param == "background" else far, user, words


def test_deployed_used_and_taken_away(
    way: tuple[str, FarMachine, str, tuple[str, ...]], fleet: Fleet, bundle: str, tmp_path: Path
) -> None:
    name, machine, user, words = way
    words = ("--name", name, "--bundle", bundle, *words)
    planned = machine.deploy(fleet, user, *words, "--dry-run")
    assert planned.exit_code == 0, planned.stderr
    assert "register" in planned.stdout
    assert machine.world() == []
    made = machine.deploy(fleet, user, *words, "--label", "env=test")
    assert made.exit_code == 0, made.stderr
    assert made.stdout == f"{name}\n"
    labels = fleet.ask("GET", f"/machines/{name}")["labels"]
    assert labels == {"deployment": name, "env": "test", "ssh": f"{user}@far"}
    script = tmp_path / "hello.py"
    script.write_text("print('hello from there')\n")
    ran = machine.clove(fleet, "agent", "run", "--machine", name, str(script))
    assert (ran.exit_code, ran.stdout) == (0, "hello from there\n"), ran.stderr
    no_token_is_kept(machine, fleet, name)
    again = machine.deploy(fleet, user, *words, "--label", "env=test", "--json")
    events = [json.loads(line) for line in again.stdout.splitlines()]
    found = [event["step"] for event in events if event["event"] == "found"]
    assert found == ["register", "host", "bundle", "install", "kernel", "tunnel"]
    assert events[-1]["machines"] == [name]
    gone = machine.deploy(fleet, user, "--name", name, "--destroy", "--yes")
    assert gone.exit_code == 0, gone.stderr
    assert machine.world() == []
    assert fleet.ask("GET", "/machines")["machines"] == []
    assert not list((machine.directory / "state/clove/deployments").iterdir())


def no_token_is_kept(machine: FarMachine, fleet: Fleet, name: str) -> None:
    """Not here, in no other user's sight there, and none that is valid."""
    kept = machine.directory / "state"
    text = "".join(path.read_text(errors="replace") for path in kept.rglob("*") if path.is_file())
    assert name in text
    assert "clove_join_" not in text
    assert fleet.admin not in text
    tokens = fleet.ask("GET", "/tokens")["tokens"]
    mine = [token for token in tokens if token["machine_id"] == name and token["valid"]]
    assert mine == []
    readable = machine.run(
        "grep -rlsE clove_join_[0-9A-Za-z]{43} /etc /opt /home /tmp /var/lib /root; true"
    )
    for path in readable.split():
        assert machine.run(f"stat -c %a {path}").strip() == "600"


def test_another_version_and_back(
    far: FarMachine, fleet: Fleet, bundle: str, newer: str, broken: str
) -> None:
    words = ("--name", "up", "--bundle", bundle)
    made = far.deploy(fleet, "root", *words)
    assert made.exit_code == 0, made.stderr
    first = far.run("readlink /opt/clove/current").strip()
    moved = far.clove(fleet, "deploy", "upgrade", "up", "--bundle", newer)
    assert (moved.exit_code, moved.stdout) == (0, "up has 0.1.0-aaaaaaaa\n"), moved.stderr
    assert f"before it had {first}" in moved.stderr
    failed = far.clove(fleet, "deploy", "upgrade", "up", "--bundle", broken)
    assert failed.exit_code == 1
    assert "0.1.0-aaaaaaaa is in use again" in failed.stderr
    assert far.run("readlink /opt/clove/current").strip() == "0.1.0-aaaaaaaa"
    until(lambda: fleet.ask("GET", "/machines/up")["presence"] == "connected", "it is connected")
    back = far.clove(fleet, "deploy", "upgrade", "up", "--to", first, "--json")
    assert json.loads(back.stdout.splitlines()[-1])["version"] == first
    back = far.clove(fleet, "deploy", "upgrade", "up", "--back")
    assert back.stdout == "up has 0.1.0-aaaaaaaa\n", back.stderr
    kept = far.run("ls -d /opt/clove/0.1.0-*").split()
    assert kept == sorted(f"/opt/clove/{each}" for each in (first, "0.1.0-aaaaaaaa"))
    same = far.deploy(fleet, "root", *words)
    assert same.exit_code == 0, same.stderr
    assert far.run("readlink /opt/clove/current").strip() == "0.1.0-aaaaaaaa"
    gone = far.deploy(fleet, "root", "--name", "up", "--destroy", "--yes")
    assert gone.exit_code == 0, gone.stderr
    assert far.world() == []
