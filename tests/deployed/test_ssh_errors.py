"""What can go wrong on the way to a machine: what is said, the exit code, and that the same command goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deployed.far_machine import ADDRESS, FarMachine
from tests.integration.fleet.fleet_processes import Fleet


@pytest.fixture(autouse=True)
def _cleared(far: FarMachine, fleet: Fleet) -> Iterator[None]:
    yield
    for name in json_lines(far.clove(fleet, "deploy", "list", "--json").stdout, "name"):
        gone = far.deploy(fleet, "root", "--name", name, "--destroy", "--yes")
        assert gone.exit_code == 0, gone.stderr
    assert far.world() == []
    assert fleet.ask("GET", "/machines")["machines"] == []


def json_lines(text: str, key: str) -> list[str]:
    return [json.loads(line)[key] for line in text.splitlines()]


def said(failed: object, *parts: str) -> None:
    stderr = getattr(failed, "stderr")  # noqa: B009 of a process or of a command that ran
    assert getattr(failed, "exit_code", 1) == 1, stderr
    last = stderr.splitlines()[-1]
    for part in parts:
        assert part in last, stderr
    assert "Traceback" not in stderr


def test_a_port_where_nothing_listens(far: FarMachine, fleet: Fleet) -> None:
    failed = far.deploy(fleet, "root", "--name", "e", "--port", "1")
    said(failed, "host: root@far was not reached", "refused", "--port", "go on with: clove deploy")


def test_the_name_is_of_no_machine(far: FarMachine, fleet: Fleet) -> None:
    failed = far.clove(fleet, "deploy", "ssh", "root@no.such.invalid", "--name", "e")
    said(failed, "host: root@no.such.invalid was not reached")


def test_a_key_that_is_not_let_in(far: FarMachine, fleet: Fleet, tmp_path: Path) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    known = far.directory / "config"
    text = known.read_text()
    known.write_text(text.replace(f"IdentityFile {far.directory}/key", f"IdentityFile {key}"))
    try:
        failed = far.deploy(fleet, "root", "--name", "e")
    finally:
        known.write_text(text)
    said(failed, "host: root@far does not let you in", "--identity")


def test_a_host_key_that_has_changed(far: FarMachine, fleet: Fleet, tmp_path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "x")], check=True
    )
    known = far.directory / "known"
    text = known.read_text()
    known.write_text(f"{ADDRESS} {(tmp_path / 'x.pub').read_text()}")
    try:
        failed = far.deploy(fleet, "root", "--name", "e")
    finally:
        known.write_text(text)
    said(failed, "ssh does not trust the host key of root@far", "same machine")


def test_a_machine_without_python(far: FarMachine, fleet: Fleet) -> None:
    failed = far.deploy(fleet, "nopython", "--name", "e")
    said(failed, "nopython@far (Debian", "has no Python", "3.11 or newer", "apt install python3")


def test_a_user_who_is_not_root(far: FarMachine, fleet: Fleet) -> None:
    failed = far.deploy(fleet, "bob", "--name", "e")
    said(failed, "bob is not root on bob@far", "--user-units")


def test_a_relay_that_the_machine_does_not_reach(far: FarMachine, fleet: Fleet) -> None:
    words = ("ssh", "root@far", "--name", "e", "--hub", "wss://10.203.0.1:1")
    failed = far.clove(fleet, "deploy", *words)
    said(failed, "root@far does not reach the relay", "refused", "--hub")


def test_a_relay_without_tls(far: FarMachine, fleet: Fleet) -> None:
    words = ("ssh", "root@far", "--name", "e", "--hub", "ws://10.203.0.1:1")
    failed = far.clove(fleet, "deploy", *words)
    said(failed, "host: ws://10.203.0.1:1 is without TLS", "wss://")


def test_a_wrong_token_and_no_relay(far: FarMachine, fleet: Fleet) -> None:
    wrong = {"CLOVE_RELAY_TOKEN": fleet.admin[:-1] + ("a" if fleet.admin[-1] != "a" else "b")}
    failed = far.clove(fleet, "deploy", "ssh", "root@far", "--name", "e", environ=wrong)
    said(failed, "register: the token", "go on with")
    gone = {"CLOVE_RELAY": "http://127.0.0.1:1"}
    failed = far.clove(fleet, "deploy", "ssh", "root@far", "--name", "f", environ=gone)
    said(failed, "register:", "127.0.0.1 port 1")
    for name, environ in (("e", {}), ("f", gone)):
        ended = far.clove(
            fleet,
            "deploy",
            "ssh",
            "root@far",
            "--name",
            name,
            "--destroy",
            "--yes",
            environ=environ,
        )
        assert ended.exit_code == 0, ended.stderr


def test_an_unknown_deployment_and_no_terminal_to_confirm(far: FarMachine, fleet: Fleet) -> None:
    said(far.deploy(fleet, "root", "--name", "e", "--destroy"), "there is no deployment e")
    far.deploy(fleet, "bob", "--name", "e")
    said(far.deploy(fleet, "bob", "--name", "e", "--destroy"), "add --yes")


def test_a_clove_that_no_deployment_made(far: FarMachine, fleet: Fleet) -> None:
    far.run("mkdir -p /opt/clove && ln -s 0.1.0-x /opt/clove/current")
    try:
        failed = far.deploy(fleet, "root", "--name", "e")
        said(failed, "root@far has a Clove in /opt/clove that no deployment made", "tunnel join")
    finally:
        far.run("rm -r /opt/clove")
    failed = far.deploy(fleet, "bob", "--name", "e", "--user-units", "--port", "1")
    assert failed.exit_code == 1


@pytest.mark.parametrize(("place", "size"), [("/home/ann/.cache", "10m"), ("/opt", "200m")])
def test_a_full_disk(seeded: FarMachine, fleet: Fleet, bundle: str, place: str, size: str) -> None:
    owner = "ann" if "ann" in place else "root"
    seeded.run(
        f"install -d -o {owner} {place} && mount -t tmpfs -o size={size} tmpfs {place} && chown {owner} {place}"
    )
    words = ("--name", "e", "--bundle", bundle)
    try:
        failed = seeded.deploy(fleet, "ann", *words)
    finally:
        seeded.run(f"umount {place}")
    said(failed, "make room there")
    seeded.seed()
    again = seeded.deploy(fleet, "ann", *words)
    assert again.exit_code == 0, again.stderr


def test_an_uninstallation_that_stops_half_way_goes_on(
    seeded: FarMachine, fleet: Fleet, bundle: str
) -> None:
    seeded.seed()
    made = seeded.deploy(fleet, "root", "--name", "e", "--bundle", bundle)
    assert made.exit_code == 0, made.stderr
    held = f"/opt/clove/{seeded.release}/held"
    seeded.run(f"mkdir {held} && mount -t tmpfs tmpfs {held}")
    words = ("root", "--name", "e", "--destroy", "--yes")
    try:
        said(seeded.deploy(fleet, *words), "install: it cannot be uninstalled", "go on with")
    finally:
        seeded.run(f"umount {held}")
    gone = seeded.deploy(fleet, *words)
    assert gone.exit_code == 0, gone.stderr
    assert seeded.run("ls -A /opt") == ""


def at_step(
    far: FarMachine,
    fleet: Fleet,
    bundle: str,
    step: str,
    act: Callable[[subprocess.Popen[str]], object],
) -> tuple[int, str]:
    """Do something as soon as a step has begun; gives exit code, and all that was said."""
    words = ("deploy", "ssh", "ann@far", "--name", "e", "--bundle", bundle, "--json")
    hub = ("--hub", f"wss://10.203.0.1:{fleet.hub_port}")
    process = far.start_clove(fleet, *words, *hub)
    assert process.stdout is not None
    text, acted = "", False
    with process:
        guard = threading.Timer(200, process.kill)
        guard.start()
        for line in process.stdout:
            text += line
            if not acted and json.loads(line).get("step") == step:
                acted = True
                act(process)
        process.wait()
        guard.cancel()
        assert process.stderr is not None
        text += process.stderr.read()
    return process.returncode, text


def test_a_relay_that_goes_away_half_way(seeded: FarMachine, own_fleet: Fleet, bundle: str) -> None:
    seeded.seed()
    status, text = at_step(seeded, own_fleet, bundle, "bundle", lambda _: own_fleet.end())
    assert status == 1
    assert "kernel: " in text
    assert "go on with: clove deploy ssh ann@far" in text
    own_fleet.restart()
    again = seeded.deploy(own_fleet, "ann", "--name", "e", "--bundle", bundle)
    assert again.exit_code == 0, again.stderr
    assert "install     is there" in again.stderr
    gone = seeded.deploy(own_fleet, "ann", "--name", "e", "--destroy", "--yes")
    assert gone.exit_code == 0, gone.stderr


def test_ctrl_c(seeded: FarMachine, fleet: Fleet, bundle: str) -> None:
    seeded.seed()
    status, text = at_step(
        seeded, fleet, bundle, "bundle", lambda process: process.send_signal(signal.SIGINT)
    )
    assert status == 130
    assert "Traceback" not in text
    again = seeded.deploy(fleet, "ann", "--name", "e", "--bundle", bundle)
    assert again.exit_code == 0, again.stderr


def test_a_connection_that_is_cut_goes_on_where_it_was(
    seeded: FarMachine, fleet: Fleet, bundle: str
) -> None:
    part = "/home/ann/.cache/clove-deploy/e/*.part"

    def cut(_: object) -> None:
        seeded.run(
            f"for i in $(seq 1000); do [ $(cat {part} 2>/dev/null | wc -c) -lt 4000000 ] || break; sleep 0.02; done;"
            " pkill -u ann sshd"
        )

    seeded.seed()
    status, text = at_step(seeded, fleet, bundle, "bundle", cut)
    if status:  # a piece was under way; between two of them another connection is just made
        assert "ann@far was not reached" in text
        assert int(seeded.run(f"cat {part} | wc -c")) > 2_000_000
    again = seeded.deploy(fleet, "ann", "--name", "e", "--bundle", bundle)
    assert again.exit_code == 0, again.stderr
