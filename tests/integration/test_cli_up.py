"""`clove up` and `down`: a kernel in the background, and its end."""

from __future__ import annotations

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
from clove.cli import kernel_process
from clove.errors import TimedOut
from tests.integration.commands import CLOVE, Result

SYSTEMCTL = """#!/bin/sh
exit 0
"""
INSTALLED = """#!/bin/sh
echo "$@" >> "$NOTED"
case "$*" in *FragmentPath*) echo FragmentPath=/home/ann/.config/systemd/user/clove-kernel.service;; esac
"""
STARTING = """#!/bin/sh
echo "$@" >> "$NOTED"
echo ActiveState=activating
"""
SYSTEMD_RUN = """#!/bin/sh
echo "$@" > "$NOTED"
while [ "${1#--}" != "$1" ]; do shift; done
setsid "$@" > "$NOTED.log" 2>&1 < /dev/null &
"""


class Machine:
    """Runs `clove` for a kernel in a directory of its own."""

    def __init__(self, directory: str) -> None:
        self.socket = f"{directory}/s"
        self.state_dir = f"{directory}/d"
        self.environ = {**os.environ, "GEMINI_API_KEY": "", "GOOGLE_API_KEY": ""}

    def clove(self, *words: str) -> Result:
        return subprocess.run(
            [CLOVE, "--socket", self.socket, *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            env=self.environ,
        )

    def up(self, *words: str) -> Result:
        return self.clove("up", "--state-dir", self.state_dir, *words)


@pytest.fixture
def machine(short_dir: str) -> Iterator[Machine]:
    found = Machine(short_dir)
    yield found
    found.clove("down", "--force")


def test_a_kernel_is_started_once_and_ended(machine: Machine) -> None:
    result = machine.up("--no-systemd")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("the kernel runs: pid ")
    with CloveClient(machine.socket) as client:
        assert client.noop(b"x") == b"x"
    again = json.loads(machine.up("--json").stdout)
    assert again["started"] is False
    pid = int(result.stdout.split()[4].rstrip(","))
    assert again["pid"] == pid
    assert os.getsid(pid) == pid
    assert machine.clove("down").stdout == f"the kernel (pid {pid}) has ended\n"
    assert not runs(pid)
    result = machine.clove("down")
    assert (result.returncode, json.loads(machine.clove("down", "--json").stdout)) == (
        0,
        {"ended": False},
    )


def runs(pid: int) -> bool:
    """Is there such a process, and not only its end, which process 1 has yet to take?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_goes_wrong_is_told_from_its_log(machine: Machine, tmp_path: Path) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text("nonsense = 1\n")
    result = machine.up("--no-systemd", "--config", str(config))
    assert result.returncode == 1
    assert "nonsense" in result.stderr
    assert "kernel.log" in result.stderr
    log = Path(machine.state_dir, "kernel.log")
    assert log.stat().st_mode & 0o777 == 0o600


def test_an_earlier_start_that_failed_is_not_told_of_again(
    machine: Machine, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text("nonsense = 1\n")
    second.write_text("rubbish = 1\n")
    assert "nonsense" in machine.up("--no-systemd", "--config", str(first)).stderr
    told = machine.up("--no-systemd", "--config", str(second)).stderr
    assert "rubbish" in told
    assert "nonsense" not in told
    assert "#info]" not in told


def test_why_it_ended_is_told_without_what_its_log_has_before(machine: Machine) -> None:
    Path(machine.socket).write_text("")
    told = machine.up("--no-systemd").stderr
    assert told.startswith(f"clove: the kernel ended with 1: {machine.socket} is there")
    assert told.count("\n") == 1


def test_a_state_directory_that_cannot_be_made_is_told_in_words(machine: Machine) -> None:
    told = machine.up("--no-systemd", "--state-dir", "/proc/none").stderr
    assert told.startswith("clove: the kernel cannot be started: No such file or directory (/proc/")


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_machine_elsewhere_is_refused(machine: Machine, command: str) -> None:
    done = subprocess.run(
        [CLOVE, command, "--context", "prod/build-7"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        env={**machine.environ, "CLOVE_SOCKET": machine.socket},
    )
    assert done.returncode == 2
    assert "leave --context out" in done.stderr


def test_a_link_in_the_place_of_the_log_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    os.mkdir(machine.state_dir, 0o700)
    os.symlink(tmp_path / "elsewhere", Path(machine.state_dir, "kernel.log"))
    assert machine.up("--no-systemd").returncode == 1
    assert not (tmp_path / "elsewhere").exists()


def test_with_systemd_it_is_a_service_with_cgroups_of_its_own(
    machine: Machine, tmp_path: Path
) -> None:
    """Of systemd there are scripts here that note what they are told, and start it."""
    for name, text in (("systemctl", SYSTEMCTL), ("systemd-run", SYSTEMD_RUN)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    noted = tmp_path / "noted"
    machine.environ |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTED": str(noted)}
    result = machine.up("--systemd")
    assert result.returncode == 0, result.stderr
    assert "(service clove-kernel)" in result.stdout
    words = noted.read_text().split()
    assert {"--user", "--unit=clove-kernel", "--property=Delegate=yes"} <= set(words)
    assert {"--property=Type=notify", "--property=WatchdogSec=60"} <= set(words)
    assert words[words.index("clove-kernel") - 4].endswith("twistd")
    assert "--logger=clove.systemd.journal.kernel" in words
    assert machine.clove("down").returncode == 0


def test_an_installed_service_is_started_with_its_own_options_alone(
    machine: Machine, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    (tmp_path / "systemctl").write_text(INSTALLED)
    (tmp_path / "systemctl").chmod(0o755)
    machine.environ |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTED": str(noted)}
    machine.environ["XDG_RUNTIME_DIR"] = str(tmp_path / "none")
    result = machine.up("--systemd")
    assert result.returncode == 1
    assert "the installed service clove-kernel has options of its own" in result.stderr
    assert "clove up --no-systemd" in result.stderr
    assert "start" not in noted.read_text().split()


def test_a_service_that_starts_already_is_waited_for(machine: Machine, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    (tmp_path / "systemctl").write_text(STARTING)
    (tmp_path / "systemctl").chmod(0o755)
    machine.environ |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTED": str(noted)}
    result = machine.up("--systemd", "--timeout", "0.5")
    assert result.returncode == 1
    assert "the kernel does not serve after 0.5 s" in result.stderr
    assert not {"start", "stop"} & set(noted.read_text().split())


def test_the_process_that_listens_for_the_kernel_is_not_taken_for_it(
    short_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{short_dir}/s"
    answers = iter([True, True, False])
    monkeypatch.setattr(kernel_process, "_is_service_manager", lambda pid: next(answers))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert kernel_process.find_running((path,)) == (os.getpid(), path)
        assert next(answers, None) is None
        monkeypatch.setattr(kernel_process, "_is_service_manager", lambda pid: True)
        monkeypatch.setattr(kernel_process, "ACTIVATION", 0)
        with pytest.raises(TimedOut, match="systemd listens on"):
            kernel_process.find_running((path,))


def complete(shell: str, words: str, position: int, environ: dict[str, str]) -> list[str]:
    """What a shell is told for the words of a line."""
    environ = {**os.environ, **environ, "_CLOVE_COMPLETE": f"{shell}_complete"}
    environ |= {"COMP_WORDS": words, "COMP_CWORD": str(position)}
    output = subprocess.run(
        [CLOVE], env=environ, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    return [line.partition(",")[2] for line in output.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str) -> None:
    result = subprocess.run(
        [CLOVE, "completion", shell], capture_output=True, text=True, check=True, timeout=60
    )
    assert "_CLOVE_COMPLETE" in result.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=result.stdout, text=True, check=True, timeout=60)


def test_an_unknown_shell_is_refused() -> None:
    environ = {**os.environ, "SHELL": "/bin/tcsh"}
    result = subprocess.run(
        [CLOVE, "completion"], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 2
    assert "bash, zsh, fish" in result.stderr


def test_commands_options_and_agents_are_completed(kernel: Any, client: Any, script: Any) -> None:
    client.spawn("researcher", script("import time\ntime.sleep(100)"))
    client.spawn("ended", script("pass"))
    client.wait("ended")
    environ = {"CLOVE_SOCKET": kernel.socket}
    assert complete("bash", "clove resta", 1, environ) == ["restart"]
    assert complete("bash", "clove kill --stop", 2, environ) == ["--stop-timeout"]
    assert complete("bash", "clove kill res", 2, environ) == ["researcher"]
    assert complete("bash", "clove kill end", 2, environ) == []
    assert complete("bash", "clove logs end", 2, environ) == ["ended"]
    assert complete("bash", "clove ls res", 2, environ) == ["researcher:"]
    assert complete("bash", "clove kill res", 2, {"CLOVE_SOCKET": "/nowhere"}) == []


def test_no_name_is_asked_for_until_a_shell_completes() -> None:
    code = "import sys, clove.cli.target; print('clove.client' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert output == "False\n"
