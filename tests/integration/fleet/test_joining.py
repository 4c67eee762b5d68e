"""A second machine joins in two commands, and runs an agent."""

from __future__ import annotations

import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clove.cli.main import main
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet, clove_process, running_fleet
from tests.waiting import until


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.fixture
def kernel() -> Iterator[KernelProcess]:
    """One that has no tunnel."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        kernel = KernelProcess(directory)
        kernel.start()
        yield kernel
        kernel.stop()


def clove(fleet: Fleet, kernel: KernelProcess, *words: str, typed: str = "") -> Result:
    environ = {
        "CLOVE_RELAY": f"http://127.0.0.1:{fleet.rest_port}",
        "CLOVE_RELAY_TOKEN": fleet.admin,
        "CLOVE_SOCKET": kernel.socket,
    }
    return CliRunner().invoke(main, words, input=typed, env=environ)


def test_a_machine_joins_in_two_commands(
    fleet: Fleet, kernel: KernelProcess, tmp_path: Path
) -> None:
    assert clove(fleet, kernel, "tunnel", "status").stdout == "there is no tunnel\n"
    token = clove(fleet, kernel, "machines", "join", "build-7").stdout
    joined = clove(fleet, kernel, "tunnel", "join", fleet.url, "build-7", typed=token)
    assert joined.exit_code == 0, joined.output
    assert joined.stdout == f"connected to {fleet.url}/ as build-7\n"
    until(
        lambda: "connected" in clove(fleet, kernel, "machines", "list").stdout,
        "the relay has it as connected",
    )
    features = until(
        lambda: fleet.ask("GET", "/machines/build-7")["isolation"].get("features"),
        "the registry has what it can isolate",
    )
    assert {"namespace.user", "seccomp"} <= {each["name"] for each in features}
    script = tmp_path / "work.py"
    script.write_text("print('from afar')\n")
    ran = clove_process(fleet, "agent", "run", "--machine", "build-7", str(script))
    assert (ran.stdout, ran.exit_code) == ("from afar\n", 0)

    used = clove(fleet, kernel, "tunnel", "leave")
    assert used.stdout == "disconnected\n"
    until(
        lambda: (
            "is not connected"
            in clove_process(fleet, "agent", "run", "--machine", "build-7", str(script)).stderr
        ),
        "the relay does not wait for it to come back",
    )
    again = clove(fleet, kernel, "tunnel", "join", fleet.url, "build-7", "--again")
    assert again.exit_code == 0, again.output
    assert clove(fleet, kernel, "tunnel", "callers").exit_code == 0
    assert "connected to" in clove(fleet, kernel, "tunnel", "status").stdout


def test_a_token_joins_once(fleet: Fleet, kernel: KernelProcess) -> None:
    wrong = clove(fleet, kernel, "tunnel", "join", fleet.url, "build-8", typed="nonsense\n")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    nothing = clove(fleet, kernel, "tunnel", "join", fleet.url, "build-8", typed="")
    assert "no token on standard input" in nothing.stderr


def test_a_relay_that_is_not_there_is_told_in_words(fleet: Fleet, kernel: KernelProcess) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}"
        joined = clove(fleet, kernel, "tunnel", "join", url, "x", typed="clove_join_x")
    assert joined.exit_code == 1
    assert joined.stderr.startswith(f"clove: no tunnel to {url}/: Connection refused - check")
    assert "Errno" not in joined.stderr


def test_a_machine_that_was_told_to_join_dials_again_after_a_restart_until_it_leaves(
    fleet: Fleet, kernel: KernelProcess
) -> None:
    token = clove(fleet, kernel, "machines", "join", "kept").stdout
    joined = clove(fleet, kernel, "tunnel", "join", fleet.url, "kept", typed=token)
    assert (joined.exit_code, "dials by itself" in joined.stderr) == (0, True)
    for number in (signal.SIGTERM, signal.SIGKILL):
        kernel.stop(number)
        kernel.start()
        fleet.await_tunnel(kernel)
    shown = clove(fleet, kernel, "tunnel", "status").stdout
    assert shown.startswith(f"connected to {fleet.url}/ as kept\n")
    assert clove(fleet, kernel, "tunnel", "leave").exit_code == 0
    assert not Path(kernel.state_dir, "tunnel/joined").exists()
    kernel.stop()
    kernel.start()
    assert clove(fleet, kernel, "tunnel", "status").stdout == "there is no tunnel\n"


def test_a_relay_that_was_refused_is_not_dialled_after_a_restart(
    fleet: Fleet, kernel: KernelProcess
) -> None:
    refused = clove(fleet, kernel, "tunnel", "join", fleet.url, "unknown", "--again")
    assert refused.exit_code == 1
    assert not Path(kernel.state_dir, "tunnel/joined").exists()


def test_a_configured_relay_is_dialled_whatever_was_joined_since(
    fleet: Fleet, kernel: KernelProcess
) -> None:
    token = clove(fleet, kernel, "machines", "join", "earlier").stdout
    clove(fleet, kernel, "tunnel", "join", fleet.url, "earlier", typed=token)
    kernel.stop()
    kernel.config = f'[tunnel]\nrelay_url = "{fleet.url}"\nmachine_id = "second"\n'
    kernel.start()
    until(
        lambda: "not connected to" in clove(fleet, kernel, "tunnel", "status").stdout,
        "the relay refuses the machine that is configured",
    )
    assert "earlier" not in clove(fleet, kernel, "tunnel", "status").stdout


@pytest.mark.parametrize("text", ["{", '{"relay_url": 1}', '{"relay_url": "ws://x", "more": 1}'])
def test_a_kept_relay_that_cannot_be_read_is_an_error_in_the_log(
    fleet: Fleet, kernel: KernelProcess, text: str
) -> None:
    kernel.stop()
    directory = Path(kernel.state_dir, "tunnel")
    directory.mkdir(mode=0o700, exist_ok=True)
    (directory / "joined").touch(0o600)
    (directory / "joined").write_text(text)
    kernel.start()
    assert clove(fleet, kernel, "tunnel", "status").stdout == "there is no tunnel\n"
    until(lambda: "clove tunnel leave" in kernel.log, "it is said what helps")
    assert clove(fleet, kernel, "tunnel", "leave").exit_code == 0
    assert not (directory / "joined").exists()
