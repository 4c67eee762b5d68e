"""Commands that ask a kernel, asked about a machine of a relay: by a context, and as `clove agent`."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.machine_user import MAIN, clove, on, run_there
from tests.integration.user_terminal import on_terminal
from tests.waiting import until

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
        (("audit", "--context", "/build-7"), 1, "ssh build-7 -- clove audit"),
        (("why", "READ", "/x", "--context", "/build-7"), 1, "ssh build-7 -- clove why"),
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
        assert f"machines ssh build-7 -- clove {words[0]}" in ran.stderr


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
    made = run_there(fleet, "--name", "w", "-d", "--", "sh", "-c", "echo up; exec sleep 100")
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
    listed = [json.loads(line) for line in clove(fleet, *words, "--json").stdout.splitlines()]
    assert [each["name"] for each in listed] == ["researcher"]
