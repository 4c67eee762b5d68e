"""Commands that ask a kernel, asked about a machine of a relay: by a context, and as `clove agent`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from tests.integration.fleet.cutting_proxy import CuttingProxy
from tests.integration.fleet.fleet_processes import Fleet, Ran, clove_process, running_fleet
from tests.integration.user_terminal import on_terminal
from tests.waiting import until

MAIN = "from clove.cli.main import main; main()"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        fleet.join("build-7")
        fleet.ask("POST", "/machines", {"machine_id": "absent"})
        yield fleet


@pytest.fixture
def admin(fleet: Fleet) -> Iterator[RemoteClient]:
    """What it has started ends with the test."""
    with fleet.client("build-7", fleet.admin) as client:
        yield client
        for each in client.list_agents():
            client.kill(agent_id=each["id"])


def clove(fleet: Fleet, *words: str, typed: str = "", **environ: str) -> Ran:
    return clove_process(fleet, *words, typed=typed, **environ)


def on(fleet: Fleet, *words: str, typed: str = "") -> Ran:
    return clove(fleet, "--context", "/build-7", *words, typed=typed)


def run(fleet: Fleet, *words: str, typed: str = "") -> Ran:
    return clove(fleet, "agent", "run", "--machine", "build-7", *words, typed=typed)


# which machine


def test_a_machine_is_named_before_or_behind_the_command_or_by_a_variable(
    fleet: Fleet, admin: RemoteClient
) -> None:
    admin.spawn("here", command=["sleep", "100"])
    for words, environ in (
        (("--context", "fleet/build-7", "ps", "-q"), {}),
        (("ps", "-q", "--context", "/build-7"), {}),
        (("ps", "-q"), {"CLOVE_CONTEXT": "fleet/build-7"}),
        (("ps", "-q"), {"CLOVE_MACHINE": "build-7"}),
        (("agent", "list", "-q", "--machine", "build-7"), {}),
    ):
        ran = clove(fleet, *words, **environ)
        assert (ran.stdout, ran.stderr, ran.exit_code) == ("here\n", "", 0)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("ps", "--context", "/buld-7"), 1, "no machine 'buld-7' at .* - did you mean build-7?"),
        (("ps", "--context", "/absent"), 1, "'absent' is not connected"),
        (("ps", "--context", "fleet"), 1, "names no machine.* --context fleet/MACHINE"),
        (("ps", "--context", "flet/x"), 1, "no context 'flet'.* did you mean fleet?"),
        (("ps", "--context", "/build-7", "--socket", "/x"), 2, "--socket names a kernel of this"),
        (("tunnel", "status", "--context", "/build-7"), 2, "leave --context out"),
        (("agent", "list"), 2, "which machine?"),
        (("agent", "run", "--machine", "buld-7", "--", "true"), 1, "did you mean build-7?"),
        (("agent", "run", "--machine", "absent", "--", "true"), 1, "'absent' is not connected"),
        (("agent", "run", "--machine", "build-7", "nowhere.py"), 2, "no such script"),
        (
            ("agent", "run", "--machine", "build-7", "--", "nowhere"),
            1,
            "no such program: 'nowhere'",
        ),
        (("agent", "stop", "nobody", "--machine", "build-7"), 1, "nobody"),
        (
            ("agent", "logs", "nobody", "--machine", "build-7"),
            1,
            "clove --context fleet/build-7 ps",
        ),
        (("forward", "build-7:nobody:80"), 1, "no agent with name 'nobody'"),
    ],
)
def test_what_is_not_there_is_said_with_what_may_have_been_meant(
    fleet: Fleet, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = clove(fleet, *words)
    assert ran.exit_code == code, ran
    assert re.search(said, " ".join(ran.stderr.split())), ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("command", [("ps",), ("run", "--", "true")])
def test_a_wrong_token_is_said_once_and_is_not_shown(
    fleet: Fleet, command: tuple[str, ...]
) -> None:
    wrong = fleet.admin[:-1] + ("x" if fleet.admin[-1] != "x" else "y")
    ran = clove(fleet, "--context", "fleet/build-7", *command, CLOVE_RELAY_TOKEN=wrong)
    assert ran.exit_code == 0  # a context that is named comes before the environment
    ran = clove(fleet, *command, CLOVE_MACHINE="build-7", CLOVE_RELAY_TOKEN=wrong)
    assert (ran.exit_code, "token" in ran.stderr) == (1, True)
    assert len(ran.stderr.splitlines()) == 1
    assert wrong not in ran.stderr


def test_what_only_the_machine_itself_may_is_refused_with_words(
    fleet: Fleet, admin: RemoteClient
) -> None:
    admin.spawn("here", command=["sleep", "100"])
    for words in (("audit",), ("why", "here", "READ", "/etc/passwd")):
        ran = on(fleet, *words)
        assert ran.exit_code == 1
        assert "ask on that machine itself" in ran.stderr


def test_agents_of_the_machine_itself_are_seen_and_not_touched(fleet: Fleet) -> None:
    with CloveClient(fleet.kernels[0].socket) as operator:
        made = operator.spawn("operators", command=["sleep", "100"])
        try:
            assert "operators" in on(fleet, "ps", "-q").stdout
            for words in (
                ("kill", "operators"),
                ("logs", "operators"),
                ("exec", "operators", "true"),
                ("ls", "operators"),
                ("attach", "operators"),
                ("inspect", "operators"),
            ):
                ran = on(fleet, *words)
                assert (ran.exit_code, "Permission denied" in ran.stderr) == (1, True), words
            ran = clove(fleet, "forward", "build-7:operators:80", "0")
            assert (ran.exit_code, "Permission denied" in ran.stderr) == (1, True)
        finally:
            operator.kill(agent_id=made["agent_id"])


# the commands


def test_the_commands_of_this_host_work_there(fleet: Fleet, tmp_path: Path) -> None:
    made = run(fleet, "--name", "w", "-d", "--", "sh", "-c", "echo up; exec sleep 100")
    assert made.exit_code == 0, made
    until(lambda: on(fleet, "logs", "w").stdout == "up\n", "its output is there")
    (tmp_path / "in").write_text("brought\n")
    steps = [
        (("exec", "w", "sh", "-c", "echo out; echo err >&2; exit 4"), 4, "out\n"),
        (("cp", str(tmp_path / "in"), "w:in"), 0, ""),
        (("cat", "w:in"), 0, "brought\n"),
        (("ls", "w"), 0, "in\n"),
        (("diff", "w"), 0, None),
        (("rm", "w:in"), 0, ""),
        (("pause", "w"), 0, "paused w\n"),
        (("resume", "w"), 0, "resumed w\n"),
        (("rename", "w", "v"), 0, "w is v now\n"),
        (("inspect", "v"), 0, None),
        (("stats", "v"), 0, None),
        (("top", "-n", "1"), 0, None),
        (("state", "set", "k", "1"), 0, "k has version 1\n"),
        (("state", "delete", "k"), 0, None),
        (("llm", "usage"), 0, None),
        (("kill", "v"), 0, "killed v\n"),
        (("wait", "v"), 0, "v: SIGTERM, killed\n"),
        (("prune", "v"), 0, "forgot v\n"),
    ]
    for words, code, shown in steps:
        ran = on(fleet, *words)
        assert ran.exit_code == code, (words, ran)
        assert shown is None or ran.stdout == shown, (words, ran)


def test_a_programs_input_output_and_errors_are_whole(fleet: Fleet, admin: RemoteClient) -> None:
    admin.spawn("beside", command=["sleep", "100"])
    data = "".join(f"line {number}\n" for number in range(40_000))
    ran = on(fleet, "exec", "-i", "beside", "sh", "-c", "tee /dev/stderr", typed=data)
    assert ran.stdout == ran.stderr == data
    assert ran.exit_code == 0


def test_attaching_shows_what_comes_and_ends_with_the_agent(
    fleet: Fleet, admin: RemoteClient
) -> None:
    command = ["sh", "-c", "read line; echo got $line; exit 6"]
    admin.spawn("asks", command=command, stdin="stream", attach=True)
    ran = clove(fleet, "agent", "attach", "asks", "--machine", "build-7", typed="this\n")
    assert (ran.stdout, ran.exit_code) == ("got this\n", 6)


# running there


def test_input_by_a_pipe_reaches_a_script_and_a_program(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("import sys\nprint(sys.argv[1:], sys.stdin.read())\n")
    ran = run(fleet, str(tmp_path / "work.py"), "-v", typed="typed")
    assert (ran.stdout, ran.exit_code) == ("['-v'] typed\n", 0)
    assert run(fleet, "--", "sh", "-c", "cat; exit 3", typed="typed")[:2] == (3, "typed")


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
    ran = run(fleet, *words, "--agent-label", "k=v", "--deny", "/etc", str(path))
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
    gone = run(fleet, "--rm", "--name", "goes", "--", "true")
    assert gone.exit_code == 0
    assert "goes" not in on(fleet, "ps", "-a", "-q").stdout.split()


def test_run_under_a_context_with_a_machine_runs_there(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("import os\nprint('there', os.getcwd())\n")
    ran = clove(fleet, "run", str(tmp_path / "work.py"), CLOVE_CONTEXT="fleet/build-7")
    assert (ran.stdout, ran.exit_code) == ("there /workspace\n", 0)
    assert "on build-7" in ran.stderr


def test_a_name_in_use_and_a_drained_machine_are_said(fleet: Fleet, admin: RemoteClient) -> None:
    admin.spawn("taken", command=["sleep", "100"])
    ran = run(fleet, "--name", "taken", "--", "true")
    assert (ran.exit_code, "'taken' is in use" in ran.stderr) == (1, True)
    fleet.ask("PATCH", "/machines/build-7", {"draining": True})
    try:
        ran = run(fleet, "--", "true")
        assert (ran.exit_code, "drained" in ran.stderr) == (1, True)
    finally:
        fleet.ask("PATCH", "/machines/build-7", {"draining": False})


def test_a_disk_that_is_full_there_is_said(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(3 << 20))
    ran = run(fleet, "--tmp", "1M", "--dir", str(tmp_path), "--", "cp", "large", "/tmp/large")
    assert ran.exit_code == 1
    assert "No space left on device" in ran.stderr


# a way that is cut


def home_with(directory: Path, rest_port: int, hub_port: int, token: str) -> str:
    """A home with a context for a relay at these ports."""
    path = directory / "home/.clove/config.yaml"
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(0o600)
    path.write_text(
        "current: other\ncontexts:\n  other:\n"
        f"    relay: http://127.0.0.1:{rest_port}\n    hub: ws://127.0.0.1:{hub_port}\n"
        f"    token: {token}\n"
    )
    return str(path.parents[1])


def test_a_cut_connection_loses_and_doubles_no_line(fleet: Fleet, tmp_path: Path) -> None:
    proxy = CuttingProxy(fleet.hub_port)
    home = home_with(tmp_path, fleet.rest_port, proxy.port, fleet.admin)
    script = "while read line; do for n in 1 2 3 4 5 6 7 8 9; do echo $line $n; done; done"
    words = ["agent", "run", "-i", "--machine", "build-7", "--", "sh", "-c", script]
    try:
        with subprocess.Popen(
            [sys.executable, "-c", MAIN, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HOME": home},
        ) as process:
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
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **fleet.commands_environ()},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        fleet.restart()
        assert process.stdout.read() == "".join(f"{n}\n" for n in range(1, 60))
        assert process.wait(60) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_of_one_that_is_typed_to_ends_it(fleet: Fleet, number: signal.Signals) -> None:
    script = "trap 'echo ending; exit 3' TERM; echo up; while :; do sleep 0.1; done"
    words = ["agent", "run", "-i", "--machine", "build-7", "--", "sh", "-c", script]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **fleet.commands_environ()},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.stdout.read() == "ending\n"
        assert process.wait(30) == 3


# how it looks


def test_the_list_of_agents_fits_a_terminal_of_80_columns(
    fleet: Fleet, admin: RemoteClient
) -> None:
    admin.spawn("researcher", command=["sh", "-c", "exec sleep 100 # " + "x" * 200])
    environ = {**os.environ, **fleet.commands_environ(), "TERM": "xterm"}
    words = ["agent", "list", "--machine", "build-7"]
    with on_terminal([sys.executable, "-c", MAIN, *words], environ, rows=24, columns=80) as shown:
        assert shown.ended() == 0
        text = re.sub(r"\x1b\[[0-9;]*m", "", shown.shown.decode())
    assert "researcher" in text
    assert max(map(len, text.splitlines())) <= 80
    listed = json.loads(clove(fleet, *words, "--json").stdout)
    assert [each["name"] for each in listed] == ["researcher"]
