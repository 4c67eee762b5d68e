"""The `clove` command, as a process, against a real kernel."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient

CLOVE = str(Path(sys.executable).with_name("clove"))


@pytest.fixture
def script(tmp_path: Path) -> Any:
    tmp_path.chmod(0o755)  # pytest's are closed to agents of a root kernel

    def write(text: str, name: str = "agent.py") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def clove(kernel: Any) -> Any:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CLOVE, "--socket", kernel.socket, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_run_streams_output_and_gives_the_exit_code(clove: Any, script: Any) -> None:
    path = script(
        "import sys\nprint('out', *sys.argv[1:])\nprint('err', file=sys.stderr)\nsys.exit(7)"
    )
    result = clove("run", path, "--flag", "value")
    assert (result.returncode, result.stdout) == (7, "out --flag value\n")
    assert result.stderr == "err\n"


def test_run_for_a_machine(clove: Any, script: Any) -> None:
    result = clove("run", "--json", "--name", "machine", script("print('hello')"))
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    first, *pieces, last = lines
    assert (first["event"], first["name"]) == ("spawned", "machine")
    assert "".join(piece["text"] for piece in pieces) == "hello"
    assert last["event"] == "exited"
    assert last["exit_code"] == result.returncode == 0


def test_run_says_when_a_signal_ended_it(clove: Any, script: Any) -> None:
    result = clove("run", script("import os; os.kill(os.getpid(), 9)"))
    assert result.returncode == 137
    assert "SIGKILL" in result.stderr


def test_run_detached_then_ps_logs_and_kill(clove: Any, script: Any) -> None:
    path = script("import time\nprint('up', flush=True)\ntime.sleep(300)")
    result = clove("run", "--detach", "--name", "bee", path)
    assert result.returncode == 0
    assert result.stdout.startswith("bee runs as agent ")
    table = clove("ps").stdout
    assert table.splitlines()[0].split()[:3] == ["ID", "NAME", "STATE"]
    assert "bee" in table
    agents = [json.loads(line) for line in clove("ps", "--json").stdout.splitlines()]
    assert [agent["state"] for agent in agents if agent["name"] == "bee"] == ["running"]
    result = clove("run", "--name", "bee", path)
    assert result.returncode == 1
    assert "in use" in result.stderr
    result = clove("kill", "nobody", "bee")
    assert result.returncode == 1
    assert result.stdout == "killed bee\n"
    assert "no agent" in result.stderr
    assert clove("logs", "bee").stdout == "up\n"
    assert json.loads(clove("--json", "logs", "bee").stdout)["text"] == "up"


def test_a_name_in_use_is_made_unique_if_none_was_asked_for(clove: Any, script: Any) -> None:
    path = script("import time\ntime.sleep(300)", "twin.py")
    assert clove("run", "-d", path).stdout.startswith("twin runs")
    assert clove("run", "-d", path).stdout.startswith("twin-2 runs")
    assert clove("kill", "twin", "twin-2").returncode == 0


def test_logs_from_a_line_or_a_time_on(clove: Any, script: Any) -> None:
    clove("run", "--name", "counter", script("for n in range(2500): print(n)"))
    assert clove("logs", "counter").stdout.split() == [str(n) for n in range(2500)]
    assert clove("logs", "--since", "2498", "counter").stdout.split() == ["2498", "2499"]
    assert len(clove("logs", "-f", "--since", "1h", "counter").stdout.split()) == 2500
    assert clove("logs", "--since", "0s", "counter").stdout == ""
    assert clove("logs", "--tail", "2", "counter").stdout.split() == ["2498", "2499"]
    assert clove("logs", "-f", "-n", "0", "--since", "3", "counter").stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_agent(kernel: Any, script: Any, number: int) -> None:
    path = script("import time\nprint('up', flush=True)\ntime.sleep(300)")
    command = [CLOVE, "--socket", kernel.socket, "run", "--name", f"interrupted-{number}", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGKILL)
    assert b"ending the agent" in errors
    with CloveClient(kernel.socket) as client:
        assert f"interrupted-{number}" not in [agent["name"] for agent in client.list_agents()]


def test_a_terminal_gets_colours_and_no_other_escape_sequences(kernel: Any, script: Any) -> None:
    hostile = script("print('\\x1b]0;owned\\x07\\x1b[2J\\x9b31mtext')")
    ours, theirs = pty.openpty()
    command = [CLOVE, "--socket", kernel.socket, "run", "--name", "hostile", hostile]
    try:
        process = subprocess.Popen(command, stdout=theirs, stdin=theirs, stderr=theirs)
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # EIO: nobody holds the other end
                break
            if not piece:
                break
            seen += piece
        process.wait(30)
    finally:
        os.close(ours)
    assert seen == b"\x1b[31mtext\r\n\x1b[0m"


def test_denials_are_one_line_with_rule_and_hint(clove: Any, script: Any) -> None:
    path = script(
        "import sys\nfrom clove import CloveClient\nfrom clove.errors import CloveError\n"
        "try: CloveClient().write_file('/workspace/x', 'x')\n"
        "except CloveError as error: print(error.code, error.rule)\n"
    )
    result = clove("run", "--level", "readonly", path)
    assert result.stdout.startswith("permission_denied ")
