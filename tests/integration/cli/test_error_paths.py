"""The errors that a user of each command can hit: one line on stderr with what to do, and the exit code."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clove.cli.main import main
from tests.integration.cli.forms import Ran, with_pipes
from tests.integration.cli.test_forms import commands
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import CONFIG, Fleet, running_fleet
from tests.waiting import until

PATIENT = "\n[limits.lockout]\nfailures = 1000\nmachine_failures = 1000\n"
MAIN = "from clove.cli.main import main; main()"
HERE = (
    "run -- true", "ps", "attach x", "exec x true", "logs x", "kill x", "restart x", "pause x",
    "resume x", "update x --pids 50", "rename x y", "wait x", "inspect x", "prune x", "ls x",
    "cat x:y", "cp x:y .", "rm x:y", "diff x", "stats", "top", "events", "audit", "state list",
    "state get x", "state set x y", "state delete x", "llm usage", "llm ask x", "why READ /x",
    "tunnel join ws://x m --again", "tunnel status", "tunnel callers", "tunnel leave",
)  # fmt: skip
"""Calls that ask this host's kernel."""
THERE = (
    "agent run -- true", "agent create -- true", "agent list", "agent inspect x", "agent logs x",
    "agent attach x", "agent exec x true", "agent cp x:y .", "agent stop x", "forward x:80",
)  # fmt: skip
"""Calls about a machine of a relay."""
RELAY = (
    "status", "machines list", "machines show m", "machines logs m", "machines doctor m",
    "machines ssh m", "machines join m", "machines rename m x", "machines label m x=y",
    "machines drain m", "machines remove m", "machines denials", "tokens list",
    "tokens show 0123456789abcdef", "tokens create --kind admin", "tokens narrow 0123456789abcdef --name x",
    "tokens rotate 0123456789abcdef", "tokens revoke 0123456789abcdef",
)  # fmt: skip
"""Calls that ask a relay; its own errors are in tests/integration/relay/test_command_errors.py."""
ALONE = (
    "up", "down", "relay up", "relay status", "relay down", "relay backup", "relay restore", "doctor",
    "completion", "config list", "config show", "config get", "config set", "config use", "config remove",
    "workspace list", "workspace path", "workspace rm", "cache list", "cache prune", "profile list",
    "profile show", "profile check", "deploy list", "deploy show", "deploy bundle",
)  # fmt: skip
"""Commands that ask neither; their errors are with their tests."""
DEPLOYING = (
    "login", "logout", "deploy ssh", "deploy docker", "deploy kubernetes", "deploy aws", "deploy gcp",
    "deploy upgrade",
)  # fmt: skip
"""Commands that ask a relay about themselves (tests/integration/relay/test_login.py, tests/deployed)."""
OF_AGENT = [call for call in HERE if call.split()[1:2] == ["x"] or " x:y" in call]


def test_every_command_is_in_one_of_the_lists() -> None:
    calls = [*HERE, *THERE, *RELAY, *ALONE, *DEPLOYING]
    tree = sorted(commands(main, click.Context(main), ()))
    named = sorted(name for name in tree for call in calls if f"{call} ".startswith(f"{name} "))
    assert named == tree


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet(config=f"{CONFIG}{PATIENT}") as fleet:
        fleet.join("build-7")
        yield fleet


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "CLOVE_SOCKET": f"{tmp_path}/none"}


def clove(environ: dict[str, str], call: str, *options: str) -> Ran:
    return with_pipes([*options, *shlex.split(call)], {**os.environ, **environ})


def check(environ: dict[str, str], call: str, said: str, code: str = "") -> None:
    """It ends with 1 and says so in one line; to programs in one object."""
    ran = clove(environ, call)
    assert (ran.code, ran.out) == (1, ""), ran
    assert ran.err.startswith("clove: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    told = clove(environ, call, "--json")
    assert (told.code, told.err) == (1, ""), told
    error = json.loads(told.out)
    assert error["success"] is False
    assert said in f"{error['error']} {error.get('hint')}"
    assert code in ("", error["code"])


@pytest.mark.parametrize("call", HERE)
def test_no_kernel(environ: dict[str, str], call: str) -> None:
    check(environ, call, "no kernel listens at", "connection_lost")
    assert "clove up" in clove(environ, call).err


@pytest.mark.parametrize("call", THERE)
def test_no_relay(environ: dict[str, str], call: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = Path(environ["HOME"], ".clove/config.yaml")
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    path.write_text(
        f"current: a\ncontexts:\n  a:\n    relay: http://127.0.0.1:{port}\n"
        f"    hub: ws://127.0.0.1:{port}\n    token: clove_admin_x\n    machine: m\n"
    )
    check(environ, call, "relay", "connection_lost")
    assert "127.0.0.1" in clove(environ, call).err


@pytest.mark.parametrize("call", THERE)
def test_a_wrong_token(fleet: Fleet, call: str) -> None:
    wrong = fleet.admin[:-1] + ("x" if fleet.admin[-1] != "x" else "y")
    environ = {**fleet.commands_environ(), "CLOVE_RELAY_TOKEN": wrong, "CLOVE_MACHINE": "build-7"}
    check(environ, call, "token")
    ran = clove(environ, call)
    assert wrong not in ran.out + ran.err


@pytest.mark.parametrize("call", THERE)
def test_an_unknown_machine(fleet: Fleet, call: str) -> None:
    environ = {**fleet.commands_environ(), "CLOVE_MACHINE": "buld-7"}
    check(environ, call, "did you mean build-7?", code="not_found")


@pytest.mark.parametrize("call", [call for call in THERE if " x" in call])
def test_an_unknown_agent_on_a_machine(fleet: Fleet, call: str) -> None:
    environ = {**fleet.commands_environ(), "CLOVE_MACHINE": "build-7"}
    check(environ, call, "'x'", code="not_found")


@pytest.mark.parametrize("call", OF_AGENT)
def test_an_unknown_agent(fleet: Fleet, call: str) -> None:
    if call.startswith(("state", "llm")):
        pytest.skip("x is no agent there")
    environ = {**fleet.commands_environ(), "CLOVE_SOCKET": fleet.kernels[0].socket}
    check(environ, call, "'x'", code="not_found")


@pytest.mark.parametrize("command", ["run", "agent run", "agent create"])
def test_a_script_that_is_missing(fleet: Fleet, command: str) -> None:
    environ = {**fleet.commands_environ(), "CLOVE_SOCKET": fleet.kernels[0].socket}
    machine = ["--machine", "build-7"] if command != "run" else []
    ran = clove(environ, " ".join([command, *machine, "nowhere.py"]))
    assert (ran.code, ran.out) == (2, "")
    assert "no such script" in ran.err


def test_a_kernel_that_ends_half_way(tmp_path: Path, short_dir: str) -> None:
    kernel = KernelProcess(short_dir)
    kernel.start()
    calls = ["run --name x -- sleep 1000", "wait x", "logs -f x", "events", "attach y"]
    environ = {**os.environ, "CLOVE_SOCKET": kernel.socket, "HOME": str(tmp_path)}
    assert clove(environ, "run -d --name y -- sleep 1000").code == 0
    running = [started(calls[0], environ)]
    until(lambda: "x" in clove(environ, "ps -q").out.split(), "the agent runs")
    running += [started(call, environ) for call in calls[1:]]
    until(lambda: connections(kernel) >= len(calls), "all are connected")
    kernel.stop(signal.SIGKILL)
    for call, process in zip(calls, running, strict=True):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1, (call, out, err)
        assert "Traceback" not in err
        assert err.splitlines()[-1].startswith("clove: "), (call, err)
        assert "clove up" in err.splitlines()[-1], (call, err)


def started(call: str, environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *shlex.split(call)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


def connections(kernel: KernelProcess) -> int:
    """How many clients the kernel has."""
    text = Path("/proc/net/unix").read_text()
    return sum(line.endswith(kernel.socket) and " 03 " in line for line in text.splitlines())
