"""`clove why`, as a process, against a real kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from clove import CloveClient
from clove.cli.why import arguments
from tests.integration.conftest import KernelProcess
from tests.sandboxes import NEEDS_SANDBOX

CLOVE = str(Path(sys.executable).with_name("clove"))

needs_sandbox = NEEDS_SANDBOX


def why(kernel: KernelProcess, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CLOVE, "--socket", kernel.socket, "why", *words],
        capture_output=True,
        text=True,
        cwd=kernel.directory,
        timeout=60,
        check=False,
    )


@pytest.fixture
def agent(kernel: KernelProcess, tmp_path: Path) -> Iterator[str]:
    """A sandboxed agent's name."""
    script = tmp_path / "agent.py"
    script.write_text("import time; time.sleep(300)")
    with CloveClient(kernel.socket) as client:
        client.spawn("bee", str(script), permissions={"blocked_commands": ["ls -l"]})
        yield "bee"
        client.kill("bee")


def test_it_says_what_policy_decides_and_what_happened(kernel: KernelProcess) -> None:
    found = why(kernel, "READ", "/etc/passwd")
    assert found.returncode == 0
    assert found.stdout.splitlines() == [
        "policy   allowed (level: unrestricted)",
        "attempt  succeeded: open /etc/passwd for reading",
        "         the file could be opened",
        "agree    yes",
    ]


def test_options_after_the_question_are_the_commands(kernel: KernelProcess) -> None:
    for words in (["ls", "--json"], ["--", "ls", "--help"]):
        found = why(kernel, "EXEC", *words)
        assert "attempt  succeeded: execute ls" in found.stdout


def test_its_own_options_stand_behind_a_question_that_takes_none(kernel: KernelProcess) -> None:
    for words in (
        ["READ", "/etc/passwd", "--json", "--words"],
        ["READ", "--words", "/etc/passwd", "--json"],
    ):
        reply = json.loads(why(kernel, *words).stdout)
        assert (reply["allowed"], bool(reply.get("attempt"))) == (True, False)


def test_what_differs_says_why_and_what_is_not_there(kernel: KernelProcess) -> None:
    found = why(kernel, "EXEC", "no-such-program")
    assert (found.returncode, found.stderr) == (0, "")
    assert "         in none of " in found.stdout
    assert "agree    no: policy allows it" in found.stdout


@needs_sandbox
def test_a_relative_path_starts_in_the_agents_workspace(kernel: KernelProcess, agent: str) -> None:
    text = why(kernel, agent, "WRITE", "notes").stdout
    assert "attempt  succeeded: open notes for writing" in text
    assert "agree    yes" in text


@needs_sandbox
def test_an_agent_is_named_by_name_or_id(kernel: KernelProcess, agent: str) -> None:
    with CloveClient(kernel.socket) as client:
        [number] = [each["id"] for each in client.list_agents() if each["name"] == agent]
    for named in (agent, str(number)):
        reply = json.loads(why(kernel, "--json", named, "exec", "ls -l").stdout)
        assert (reply["agent_id"], reply["allowed"]) == (number, False)
        assert (reply["attempt"]["happened"], reply["agrees"]) == ("succeeded", False)
    text = why(kernel, agent, "READ", "/etc/shadow").stdout
    assert "policy   refused (blocked_paths: /etc/shadow*)" in text
    assert "attempt  failed: open /etc/shadow for reading" in text
    assert "No such file or directory (ENOENT)" in text


def test_an_agent_may_be_called_as_a_syscall_is(kernel: KernelProcess) -> None:
    with CloveClient(kernel.socket) as client:
        client.spawn("hello", command=["sleep", "100"], sandboxed=False)
        reply = json.loads(why(kernel, "--json", "--words", "hello", "READ", "/x").stdout)
        assert reply["agent_id"] == client.kill("hello")["agent_id"]
    assert why(kernel, "--words", "EXEC", "kill").returncode == 0


def test_policy_alone(kernel: KernelProcess) -> None:
    found = why(kernel, "--words", "READ", "/etc/passwd")
    assert "attempt" not in found.stdout
    assert "words alone" in found.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["FLY"],
        ["bee", "FLY"],
        ["READ"],
        ["CONNECT", "host"],
        ["CONNECT", "host:65536"],
        ["THINK", "hard"],
        ["EXEC"],
        ["READ", "/x", "--jason"],
        ["READ", "--", "/x", "--json"],
        ["--json"],
        ["--loud", "READ", "/x"],
    ],
)
def test_a_wrong_command_line(kernel: KernelProcess, words: list[str]) -> None:
    assert why(kernel, *words).returncode == 2


def test_an_agent_that_is_none(kernel: KernelProcess) -> None:
    found = why(kernel, "nobody", "READ", "/x")
    assert (found.returncode, found.stdout) == (1, "")
    assert "no agent with name 'nobody'" in found.stderr


@pytest.mark.parametrize(
    ("syscall", "words", "fields"),
    [
        ("EXEC", ["git push"], {"command": "git push"}),
        ("EXEC", ["git", "push", "-f"], {"command": ["git", "push", "-f"]}),
        ("HTTP", ["https://a.test/"], {"url": "https://a.test/"}),
        ("HTTP", ["post", "https://a.test/"], {"method": "POST", "url": "https://a.test/"}),
        ("CONNECT", ["a.test:22"], {"host": "a.test", "port": 22}),
        ("CONNECT", ["[::1]:22"], {"host": "::1", "port": 22}),
        ("THINK", [], {}),
    ],
)
def test_words_become_a_request(syscall: str, words: list[str], fields: dict[str, Any]) -> None:
    assert arguments(syscall, words) == fields


def test_a_port_is_a_number() -> None:
    with pytest.raises(click.UsageError):
        arguments("CONNECT", ["a.test:http"])
