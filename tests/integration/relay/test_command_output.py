"""What the commands for a fleet show: on a terminal of 80 columns, piped, and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from clove.relay.rest.types import Machine
from tests.integration.relay.commands import Commands, on_terminal
from tests.integration.relay.relay_process import RelayProcess

ESCAPES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
NAME = "show-7"


@pytest.fixture
def machine(shared_relay: RelayProcess) -> Any:
    """A machine with a label, a name that a terminal would obey, and a token."""
    body = {
        "machine_id": NAME,
        "name": "rack \u202e4",
        "labels": {"env": "prod", "zone": "a"},
        "metadata": {"owner": "ann"},
    }
    status, made = shared_relay.ask("POST", "/api/v1/machines", body)
    assert status == 201
    yield made
    assert shared_relay.ask("DELETE", f"/api/v1/machines/{NAME}")[0] == 200


COMMANDS = (
    ["status"],
    ["machines", "list"],
    ["machines", "show", NAME],
    ["machines", "logs", NAME],
    ["machines", "denials"],
    ["tokens", "list"],
    ["machines", "join", NAME],
    ["machines", "rename", NAME, "front"],
    ["machines", "label", NAME, "env=test"],
    ["machines", "drain", NAME],
    ["tokens", "create", "--kind", "admin"],
    ["config", "list"],
    ["config", "show"],
)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_lines_fit_a_terminal_of_80_columns(clove: Commands, words: list[str]) -> None:
    status, lines = on_terminal(clove.environ, *words)
    assert status == 0, lines
    assert lines
    assert [line for line in lines if len(line) > 80 or ESCAPES.search(line)] == []
    assert "\u202e" not in "".join(lines)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_programs_get_json_alone(clove: Commands, words: list[str]) -> None:
    result = clove(*words, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(isinstance(json.loads(line), dict) for line in result.stdout.splitlines())


@pytest.mark.usefixtures("machine")
def test_a_machine_is_shown_in_words_and_as_the_relay_has_it(clove: Commands) -> None:
    lines = clove.out("machines", "show", NAME).splitlines()
    assert lines[0].startswith(f"machine:    {NAME} (rack ")
    facts = dict(re.split(r":\s+", line, maxsplit=1) for line in lines)
    assert facts["presence"] == "disconnected"
    assert facts["labels"] == "env=prod zone=a"
    assert facts["metadata"] == "owner = ann"
    assert facts["sandbox"] == "not known yet"
    [shown] = clove.json("machines", "show", NAME)
    assert set(shown) == set(Machine.__struct_fields__)


@pytest.mark.usefixtures("machine")
def test_an_open_join_token_is_shown_with_its_machine_to_an_administrator(clove: Commands) -> None:
    assert "join token:" not in clove.out("machines", "show", NAME)
    clove.out("machines", "join", NAME)
    [token] = [
        each
        for each in clove.json("tokens", "list")
        if each["machine_id"] == NAME and each["type"] == "join"
    ]
    [line] = [
        line
        for line in clove.out("machines", "show", NAME).splitlines()
        if line.startswith("join token:")
    ]
    assert line.endswith(f" UTC (clove tokens revoke {token['id']})")
    narrow = clove.out("tokens", "create", "--kind", "agent", "--machine", NAME).strip()
    seen = clove("machines", "show", NAME, CLOVE_RELAY_TOKEN=narrow)
    assert (seen.exit_code, "join token:" in seen.stdout) == (0, False)
    clove.out("tokens", "revoke", str(token["id"]))
    assert "join token:" not in clove.out("machines", "show", NAME)


def test_what_has_happened_with_a_machine_is_in_the_order_of_time(
    clove: Commands, machine: dict[str, Any]
) -> None:
    clove.out("machines", "join", NAME)
    clove.out("tokens", "revoke", machine["token_id"])
    found = clove.json("machines", "logs", NAME)
    assert [each["at"] for each in found] == sorted(str(each["at"]) for each in found)
    texts = [str(each["text"]) for each in found]
    assert f"machine token {machine['token_id']} was made" in texts
    assert f"machine token {machine['token_id']}: it was revoked" in texts
    assert len(clove.json("machines", "logs", NAME, "-n", "2")) == 2


@pytest.mark.usefixtures("machine")
def test_the_fleet_in_a_few_lines(clove: Commands) -> None:
    lines = clove.out("status").splitlines()
    assert re.fullmatch(r"relay \S+, up for .+", lines[0])
    assert re.fullmatch(r"machines: \d+ \(.*\d+ disconnected.*\)", lines[1])
    assert "agents: 0; remote callers: 0" in lines
    [found] = clove.json("status")
    assert found["relays"] == 1
    assert found["machines_connected"] == 0
    presence: Any = found["presence"]
    assert presence["disconnected"] >= 1


def test_ssh_is_the_users_own_with_the_machines_address(
    clove: Commands, machine: dict[str, Any], tmp_path: Path
) -> None:
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 9\n')
    program.chmod(0o755)
    environ = {**clove.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    missing = clove("machines", "ssh", NAME)
    assert (missing.exit_code, f"clove machines label {NAME} ssh=" in missing.stderr) == (1, True)
    clove.out("machines", "label", NAME, "ssh=ann@build.example.org")
    words = ["machines", "ssh", NAME, "--", "-p", "2222", "uptime"]
    status, lines = on_terminal(environ, *words)
    assert (status, lines) == (9, ["ann@build.example.org", "-p", "2222", "uptime"])
    shown = json.loads(clove.out(*words[:3], "--json", *words[3:]))
    assert shown["command"] == ["ssh", "ann@build.example.org", "-p", "2222", "uptime"]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("address", ["-oProxyCommand=id", "ann@-oProxyCommand=id", "a b", "a;id"])
def test_no_address_is_an_option_of_sshs(clove: Commands, address: str) -> None:
    clove.out("machines", "label", NAME, f"ssh={address}")
    result = clove("machines", "ssh", NAME)
    assert (result.exit_code, "is no address for ssh" in result.stderr) == (1, True)


@pytest.mark.usefixtures("machine")
def test_a_machine_that_has_not_reported_cannot_be_diagnosed(clove: Commands) -> None:
    result = clove("machines", "doctor", NAME)
    assert (result.exit_code, "clove doctor says it there" in result.stderr) == (1, True)


def test_a_token_is_made_shown_rotated_and_revoked(clove: Commands) -> None:
    made = clove("tokens", "create", "--kind", "agent", "--label", "env=x", "--name", "ci")
    assert re.fullmatch(r"clove_agent_\w+\n", made.stdout)
    token_id = made.stderr.split()[2].rstrip(",")
    shown = clove.out("tokens", "show", token_id)
    assert made.stdout.strip() not in shown
    facts = dict(re.split(r":\s+", line, maxsplit=1) for line in shown.splitlines())
    assert (facts["kind"], facts["name"], facts["for"], facts["state"]) == (
        *("agent", "ci", "env=x"),
        "valid",
    )
    rotated = clove("tokens", "rotate", token_id, "--grace", "1h")
    assert re.fullmatch(r"clove_agent_\w+\n", rotated.stdout)
    assert f"{token_id} is valid until" in rotated.stderr
    assert f"{token_id} is not valid any more" in clove("tokens", "rotate", token_id).stderr
    assert "revoked" in clove.out("tokens", "show", token_id)
    again = clove("tokens", "rotate", token_id)
    assert (again.exit_code, "clove tokens create" in again.stderr) == (1, True)


def test_the_token_of_the_command_is_rotated_with_a_word_about_it(clove: Commands) -> None:
    text = clove.out("tokens", "create", "--kind", "admin").strip()
    own = json.loads(clove.typed(text, "login", "--json").stdout)["token"]["id"]
    result = clove("tokens", "rotate", own, CLOVE_RELAY_TOKEN=text)
    assert (result.exit_code, "clove login" in result.stderr) == (0, True)
    assert clove("status", CLOVE_RELAY_TOKEN=text).exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--kind", "admin", "--machine", "m1"],
        ["--kind", "machine"],
        ["--kind", "join", "--machine", "a", "--machine", "b"],
        ["--kind", "join", "--machine", "a", "--label", "x=y"],
        ["--kind", "agnt"],
        [],
    ],
)
def test_a_token_that_makes_no_sense_is_wrong_usage(clove: Commands, words: list[str]) -> None:
    assert clove("tokens", "create", *words).exit_code == 2
