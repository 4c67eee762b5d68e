"""`clove agent run` on a machine: what arrives there, what comes back, and what ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clove.client.remote import RemoteClient
from tests.integration.fleet.cutting_proxy import CuttingProxy
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.machine_user import MAIN, clove, home_with, on, run_there, started
from tests.integration.user_terminal import on_terminal

# running there


def test_input_by_a_pipe_reaches_a_script_and_a_program(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("import sys\nprint(sys.argv[1:], sys.stdin.read())\n")
    ran = run_there(fleet, str(tmp_path / "work.py"), "-v", typed="typed")
    assert (ran.stdout, ran.exit_code) == ("['-v'] typed\n", 0)
    assert run_there(fleet, "--", "sh", "-c", "cat; exit 3", typed="typed")[:2] == (3, "typed")


def test_without_a_way_for_input_a_pipe_is_left_alone_and_that_is_said(
    fleet: Fleet, tmp_path: Path
) -> None:
    home = home_with(tmp_path, fleet.rest_port, 9, fleet.admin)  # nothing listens at the second
    words = ("agent", "run", "--machine", "build-7")
    ran = clove(fleet, *words, "--", "echo", "ran", typed="typed", HOME=home)
    assert (ran.stdout, ran.exit_code) == ("ran\n", 0)
    assert "does not get our standard input" in ran.stderr
    ran = clove(fleet, *words, "-i", "--", "echo", "ran", typed="typed", HOME=home)
    assert (ran.stdout, ran.exit_code) == ("", 1)
    assert "cannot be reached" in ran.stderr


def test_variables_secrets_and_rules_arrive(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hidden\n")
    (tmp_path / "key").chmod(0o600)
    path = tmp_path / "work.py"
    path.write_text(
        "import os, pathlib\nfile = pathlib.Path(os.environ['F_FILE'])\n"
        "print(os.environ['A'], os.environ['S'], file, file.read_text())\n"
    )
    key = f"=@{tmp_path / 'key'}"
    words = ("--name", "has", "-e", "A=1", "--secret", f"S{key}", "--secret-file", f"F{key}")
    ran = run_there(fleet, *words, "--agent-label", "k=v", "--deny", "/etc", str(path))
    assert ran.stdout == "1 hidden /run/secrets/F hidden\n\n", ran
    shown = on(fleet, "inspect", "has", "--json").stdout
    assert "hidden" not in shown
    assert json.loads(shown)["agent"]["labels"]["k"] == "v"
    assert "hidden" not in fleet.log
    assert "hidden" not in fleet.kernels[0].log


def test_a_terminal_there_is_ours_and_files_come_before_it(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "import os, sys\nprint('tty', os.isatty(0), os.get_terminal_size())\n"
        "print('got', input('name? '))\nsys.exit(5)\n"
    )
    words = ["agent", "run", "-it", "--machine", "build-7", str(tmp_path / "work.py")]
    environ = {**os.environ, **fleet.commands_environ(), "TERM": "xterm"}
    with on_terminal([sys.executable, "-c", MAIN, *words], environ, rows=30, columns=90) as shown:
        shown.until(b"tty True os.terminal_size(columns=90, lines=30)")
        shown.until(b"name? ")
        shown.type(b"ann\n")
        shown.until(b"got ann")
        assert shown.ended() == 5


def test_a_shell_in_an_agent_there(fleet: Fleet, admin: RemoteClient) -> None:
    admin.spawn("beside", command=["sleep", "100"])
    words = ["agent", "exec", "--machine", "build-7", "-it", "beside", "sh"]
    environ = {**os.environ, **fleet.commands_environ(), "TERM": "xterm", "PS1": "$ "}
    with on_terminal([sys.executable, "-c", MAIN, *words], environ) as shown:
        shown.until(b"$ ")
        shown.type(b"tty && echo i''nside; exit 7\n")
        shown.until(b"/dev/pts/")
        shown.until(b"inside")
        assert shown.ended() == 7


def test_create_prints_an_id_and_rm_forgets(fleet: Fleet) -> None:
    made = clove(fleet, "agent", "create", "--machine", "build-7", "--", "sleep", "100")
    number = made.stdout.strip()
    assert number.isdigit()
    assert number in on(fleet, "ps").stdout
    assert on(fleet, "kill", number).exit_code == 0
    gone = run_there(fleet, "--rm", "--name", "goes", "--", "true")
    assert gone.exit_code == 0
    assert "goes" not in on(fleet, "ps", "-a", "-q").stdout.split()


def test_run_under_a_context_with_a_machine_runs_there(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("import os\nprint('there', os.getcwd())\n")
    ran = clove(fleet, "run", str(tmp_path / "work.py"), CLOVE_CONTEXT="fleet/build-7")
    assert (ran.stdout, ran.exit_code) == ("there /workspace\n", 0)
    assert "on build-7" in ran.stderr


def test_a_name_in_use_and_a_drained_machine_are_said(fleet: Fleet, admin: RemoteClient) -> None:
    admin.spawn("taken", command=["sleep", "100"])
    ran = run_there(fleet, "--name", "taken", "--", "true")
    assert (ran.exit_code, "'taken' is in use" in ran.stderr) == (1, True)
    fleet.ask("PATCH", "/machines/build-7", {"draining": True})
    try:
        ran = run_there(fleet, "--", "true")
        assert (ran.exit_code, "drained" in ran.stderr) == (1, True)
    finally:
        fleet.ask("PATCH", "/machines/build-7", {"draining": False})


def test_a_disk_that_is_full_there_is_said(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(3 << 20))
    ran = run_there(fleet, "--tmp", "1M", "--dir", str(tmp_path), "--", "cp", "large", "/tmp/large")
    assert ran.exit_code == 1
    assert "No space left on device" in ran.stderr


def test_a_copy_that_a_disk_there_has_no_room_for_is_said_with_what_stays(
    fleet: Fleet, tmp_path: Path
) -> None:
    clove(
        fleet,
        "agent",
        "create",
        "--machine",
        "build-7",
        "--tmp",
        "1M",
        "--name",
        "small",
        "--",
        "sleep",
        "100",
    )
    (tmp_path / "large").write_bytes(os.urandom(3 << 20))
    copied = on(fleet, "cp", str(tmp_path / "large"), "small:/tmp/large")
    assert copied.exit_code == 1
    assert "'/tmp/large': the disk is full; its first " in copied.stderr
    assert " are there, and perhaps some more" in copied.stderr
    assert copied.stderr.count("\n") == 1


# a way that is cut


def test_a_cut_connection_loses_and_doubles_no_line(fleet: Fleet, tmp_path: Path) -> None:
    proxy = CuttingProxy(fleet.hub_port)
    home = home_with(tmp_path, fleet.rest_port, proxy.port, fleet.admin)
    script = "while read line; do for n in 1 2 3 4 5 6 7 8 9; do echo $line $n; done; done"
    words = ["agent", "run", "-i", "--machine", "build-7", "--", "sh", "-c", script]
    try:
        environ = {**os.environ, "HOME": home}
        with started(fleet, *words, stdin=subprocess.PIPE, environ=environ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for round_ in range(4):
                process.stdin.write(f"{round_}\n")
                process.stdin.flush()
                shown = [process.stdout.readline() for _ in range(9)]
                assert shown == [f"{round_} {n}\n" for n in range(1, 10)]
                proxy.cut()
            process.stdin.close()
            assert process.stdout.read() == ""
            assert process.wait(60) == 0
        assert proxy.connections >= 4
    finally:
        proxy.stop()


def test_a_relay_that_is_not_there_is_said_in_one_line(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("")
    environ = {"HOME": home_with(tmp_path, 9, 9, fleet.admin)}  # nothing listens there
    for words in (
        ("agent", "run", "--machine", "m", str(tmp_path / "work.py")),
        ("agent", "list", "--machine", "m"),
    ):
        ran = clove(fleet, *words, **environ)
        assert ran.exit_code == 1
        assert len(ran.stderr.splitlines()) == 1
        assert "127.0.0.1" in ran.stderr


def test_a_relay_that_is_started_anew_goes_on_with_the_output(tmp_path: Path) -> None:
    with running_fleet() as fleet:
        fleet.join("build-7")
        _run_over_a_restart(fleet, tmp_path)


def _run_over_a_restart(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "import sys, time\nfor n in range(60):\n    print(n, flush=True)\n    time.sleep(0.1)\nsys.exit(4)\n"
    )
    words = ["agent", "run", "--machine", "build-7", str(tmp_path / "work.py")]
    with started(fleet, *words, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        fleet.restart()
        assert process.stdout.read() == "".join(f"{n}\n" for n in range(1, 60))
        assert process.wait(60) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_of_one_that_is_typed_to_ends_it(fleet: Fleet, number: signal.Signals) -> None:
    script = "trap 'echo ending; exit 3' TERM; echo up; while :; do sleep 0.1; done"
    words = ["agent", "run", "-i", "--machine", "build-7", "--", "sh", "-c", script]
    with started(fleet, *words, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.stdout.read() == "ending\n"
        assert process.wait(30) == 3
