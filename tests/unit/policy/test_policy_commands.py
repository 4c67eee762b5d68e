"""Command rules: what they see through, and what they must not stop."""
# ruff: noqa: RUF005

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest
from clove.policy import Level, Permissions, check_command, for_level
from clove.policy.command_rules import command_rule
from clove.policy.shell import Unreadable, simple_commands

SANDBOXED = for_level(Level.SANDBOXED)


def only(*rules: str) -> Permissions:
    return msgspec.structs.replace(for_level(Level.STANDARD), allowed_commands=rules)


@pytest.mark.parametrize(
    "command",
    [
        "sudo ls",
        "/usr/bin/sudo ls",
        "ls; sudo ls",
        "ls && sudo ls",
        "ls || sudo ls",
        "ls | sudo tee x",
        "ls & sudo ls",
        "ls\nsudo ls",
        "(sudo ls)",
        "{ sudo ls; }",
        "echo $(sudo ls)",
        'echo "$(sudo ls)"',
        "echo `sudo ls`",
        'echo "a `sudo ls` b"',
        "cat <(sudo ls)",
        "if true; then sudo ls; fi",
        "f() { sudo ls; }; f",
        "A=1 B=2 sudo ls",
        "s'u'do ls",
        's"u"do ls',
        "su\\do ls",
        "su\\\ndo ls",
        ">x sudo ls",
        "2>&1 sudo ls",
        "env sudo ls",
        "env -i A=1 sudo ls",
        "env -u X sudo ls",
        "nohup nice -n 5 sudo ls",
        "timeout 5s sudo ls",
        "xargs -I {} sudo {}",
        "sh -c 'sudo ls'",
        "bash -ec 'ls; sudo ls'",
        "sh -c \"sh -c 'sudo ls'\"",
        "env -u X sh -c 'sudo ls'",
        "eval sudo ls",
        "eval 'sudo ls'",
        "find . -exec sudo ls {} ;",
        "! sudo ls",
        "rm -rf /",
        "rm -fr /",
        "rm -r -f /",
        "rm / -rf",
        "rm -rfv /",
        "rm -Rf /",
        "rm --recursive --force /",
        "rm --rec --for /",
        "rm '>' -rf /",
    ],
)
def test_dangerous_commands_are_blocked(command: str) -> None:
    decision = check_command(SANDBOXED, command)
    assert not decision.allowed
    assert decision.rule in ("blocked_commands: sudo", "blocked_commands: rm -rf")


@pytest.mark.parametrize(
    "command",
    [
        "ls -la /tmp",
        "echo sudo",
        "echo 'rm -rf /'",
        "rm file",
        "rm -r directory",
        "grep -rf patterns .",
        "git status && python -m pytest -q",
        "cat a | sort | uniq -c > out 2>&1",
        "for i in 1 2 3; do echo $i; done",
        "[ -f x ] && echo yes",
        "xargs -I {} cp {} {}.bak",
        "PYTHONPATH=. python x.py # sudo is not run here",
        "A=$(date) make",
        "sh script.sh",
        "echo $((1 + 2))",
        "$HOME/.local/bin/tool",
        "printf '%s\\n' \"it's\"",
        "",
    ],
)
def test_ordinary_commands_go_on(command: str) -> None:
    assert check_command(SANDBOXED, command).allowed


@pytest.mark.parametrize(
    "command",
    ["echo 'open", 'echo "open', "echo $(ls", "$X ls", "${X} ls", "/bin/su?o ls", "a" * 20000]
    + ["env " + "A=1 " * 40 + "sudo", "(" * 40 + "ls" + ")" * 40, "ls;" * 600, "a\0b"],
)
def test_what_cannot_be_read_is_denied_where_there_are_rules(command: str) -> None:
    assert check_command(SANDBOXED, command).rule == "command-unreadable"
    assert check_command(for_level(Level.STANDARD), command).allowed


def test_only_allowed_commands() -> None:
    permissions = only("git status", "ls", "sh", "env")
    for command in ("ls -l", "git status -s", "/usr/bin/ls", "ls | ls", "sh -c ls", "env A=1 ls"):
        decision = check_command(permissions, command)
        assert decision.allowed, command
        assert decision.rule.startswith("allowed_commands: ")
    for command in ("git push", "cat x", "ls; cat x", "/tmp/ls", "./ls", "sh -c cat", "env cat"):
        decision = check_command(permissions, command)
        assert decision.rule == "allowed_commands", command
        assert "git status" in decision.hint
    assert check_command(only("/opt/tool"), "/opt/tool x").allowed


def test_words_that_no_shell_reads_are_one_command() -> None:
    assert check_command(SANDBOXED, ["echo", ";", "sudo"]).allowed
    assert not check_command(SANDBOXED, ["sudo", "ls"]).allowed
    assert not check_command(SANDBOXED, ["sh", "-c", "sudo ls"]).allowed
    assert not check_command(SANDBOXED, []).allowed


def test_without_exec_no_rule_matters() -> None:
    assert check_command(for_level(Level.READONLY), "ls").rule == "level: readonly"


@pytest.mark.parametrize("rule", ["", "a; b", "'open", "a | b"])
def test_bad_rules_are_errors(rule: str) -> None:
    with pytest.raises(InvalidRequest):
        command_rule(rule)


@given(st.text("ab'\"\\`$(){};&|<># \n=-", max_size=40))
def test_any_line_is_read_or_refused(text: str) -> None:
    try:
        commands = simple_commands(text)
    except Unreadable:
        return
    assert all(words for words in commands)


@given(st.text("ab sudo'\"\\`$(){};&|<>\n", max_size=30))
def test_a_blocked_command_at_the_end_of_a_list_is_always_seen(text: str) -> None:
    try:
        simple_commands(text)
    except Unreadable:
        return
    if text.endswith("\\") or "#" in text:
        return
    try:
        commands = simple_commands(text + "\nsudo x")
    except Unreadable:
        return
    assert any(words[0] == "sudo" for words in commands)
