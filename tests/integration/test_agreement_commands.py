"""One policy, two enforcers: each command through EXEC and by execve(2), in the same agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agreement_commands import COMMANDS, KNOWN, POLICIES, PREPARE, TRY, UNGUARDED
from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

AGREEMENT = Path(__file__).parents[2] / "docs" / "agreement.md"


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def here(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def python(here: Host) -> str:
    """The agents' interpreter."""
    agent = here.spawn("standard")
    found: str = agent.ask("run", "import sys; found = sys.executable")
    here.client.kill(agent.id)
    return found


def answers(agent: Agent) -> dict[str, tuple[bool, bool]]:
    """What the syscall and the operating system say to each command."""
    agent.ask("run", PREPARE)
    found = agent.ask("run", f"COMMANDS = {json.dumps(COMMANDS)}\n{TRY}")
    return {name: (syscall, direct) for name, (syscall, direct) in found.items()}


def filled(value: Any, python: str) -> Any:
    """A policy with the interpreter's name in it."""
    return json.loads(json.dumps(value).replace("PYTHON", python))


def without_landlock(agent: Agent) -> bool:
    """What alone may be run cannot be enforced here."""
    unguarded = agent.isolation.get("commands", {}).get("unguarded", {})
    return bool(unguarded.keys() & {"can_exec", "allowed_commands"})


@pytest.mark.parametrize("policy", POLICIES)
def test_both_doors_agree_on_commands(here: Host, python: str, policy: str) -> None:
    agent = here.spawn(filled(POLICIES[policy], python))
    try:
        if without_landlock(agent):
            pytest.skip("this Linux has no Landlock, as isolation.commands says")
        found = answers(agent)
        differing = {name for name, (syscall, direct) in found.items() if syscall != direct}
        assert differing == set(KNOWN.get(policy, {}))
    finally:
        here.client.kill(agent.id)


@pytest.mark.parametrize("policy", UNGUARDED)
def test_the_reply_says_what_is_left_open(here: Host, python: str, policy: str) -> None:
    agent = here.spawn(filled(POLICIES[policy], python))
    try:
        commands = agent.isolation["commands"]
        if without_landlock(agent):
            pytest.skip("this Linux has no Landlock, as isolation.commands says")
        found = [name.replace(Path(python).name, "python") for name in commands["unguarded"]]
        assert found == UNGUARDED[policy]
    finally:
        here.client.kill(agent.id)


def test_what_is_covered_and_executable_is_named(here: Host) -> None:
    agent = here.spawn({"blocked_commands": ["dd"], "allowed_commands": ["ls", "dd"]})
    commands = agent.isolation["commands"]
    assert commands["covered"] == [str(Path("/usr/bin/dd").resolve())]
    if not without_landlock(agent):
        assert str(Path("/usr/bin/ls").resolve()) in commands["executable"]
        assert str(Path("/usr/bin/dd").resolve()) not in commands["executable"]
    here.client.kill(agent.id)


def test_a_level_that_blocks_no_command_reports_nothing(here: Host) -> None:
    agent = here.spawn("standard")
    assert "commands" not in agent.isolation
    here.client.kill(agent.id)


def test_new_command_rules_say_that_they_wait_for_a_restart(here: Host) -> None:
    agent = here.spawn({"blocked_commands": ["dd"]})
    change = here.client.set_permissions
    assert not change({"blocked_commands": ["dd"]}, agent_id=agent.id)["restart_needed"]
    assert not change({"can_http": True}, agent_id=agent.id)["restart_needed"]
    assert change({"blocked_commands": ["dd", "ls"]}, agent_id=agent.id)["restart_needed"]
    assert change({"can_exec": False}, agent_id=agent.id)["restart_needed"]
    here.client.kill(agent.id)


def test_known_difference_private_programs(here: Host) -> None:
    program = Path("/usr/lib/git-core/git")
    if not program.exists():
        pytest.skip("git, whose own programs are tried, is not there")
    agent = here.spawn({"allowed_commands": ["ls"]})
    if without_landlock(agent):
        pytest.skip("this Linux has no Landlock, as isolation.commands says")
    commands = {"git": [str(program), "--version"]}
    assert agent.ask("run", f"COMMANDS = {commands!r}\n{TRY}") == {"git": [False, True]}
    assert "| `private-programs` |" in AGREEMENT.read_text()
    here.client.kill(agent.id)


def test_every_known_difference_of_commands_is_described() -> None:
    text = AGREEMENT.read_text()
    for name in {name for differences in KNOWN.values() for name in differences.values()}:
        assert f"| `{name}` |" in text


def test_why_tries_commands_under_the_same_rules(here: Host) -> None:
    def tried(agent: Agent, *words: str) -> tuple[bool, str]:
        reply = here.client.why("EXEC", {"command": list(words)}, agent.id)
        return reply["allowed"], reply["attempt"]["errno_name"] or reply["attempt"]["happened"]

    agent = here.spawn({"allowed_commands": ["ls", "dd"], "blocked_commands": ["dd"]})
    agent.ask("run", PREPARE)
    assert tried(agent, "ls", "/") == (True, "succeeded")
    assert tried(agent, "dd", "if=/dev/null") == (False, "EACCES")
    assert tried(agent, "/workspace/script") == (False, "EACCES")
    if not without_landlock(agent):
        assert tried(agent, "cat", "/dev/null") == (False, "EACCES")
    here.client.kill(agent.id)
