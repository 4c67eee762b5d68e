"""`clove tokens narrow`: a token gets less, never more, and says what it is then."""

from __future__ import annotations

import re

import pytest

from tests.integration.relay.commands import Commands, on_terminal

SCOPE = ("--machine", "m1", "--machine", "m2", "--label", "env=prod")


@pytest.fixture
def token(clove: Commands) -> str:
    """The id of an agent token for two machines and a label, good for a day."""
    words = ("--kind", "agent", *SCOPE, "--permissions", '{"level": "minimal"}', "--name", "ci")
    [made] = clove.json("tokens", "create", *words)
    return str(made["id"])


def test_a_token_gets_fewer_machines_labels_permissions_and_less_time(
    clove: Commands, token: str
) -> None:
    before = clove.json("tokens", "show", token)[0]
    words = ("--machine", "m2", "--no-labels", "--expires", "1h", "--name", "ci-2")
    narrowed = clove("tokens", "narrow", token, *words, "--permissions", '{"can_think": false}')
    assert (narrowed.exit_code, narrowed.stderr) == (0, "")
    assert narrowed.stdout == clove.out("tokens", "show", token)
    assert re.search(r"^for: +m2$", narrowed.stdout, re.MULTILINE)
    [shown] = clove.json("tokens", "show", token)
    assert (shown["target_machines"], shown["labels"], shown["name"]) == (["m2"], {}, "ci-2")
    assert shown["permissions"] == {"level": "minimal", "can_think": False}
    assert str(shown["expires_at"]) < str(before["expires_at"])


def test_what_is_not_named_stays(clove: Commands, token: str) -> None:
    [before] = clove.json("tokens", "show", token)
    [now] = clove.json("tokens", "narrow", token, "--label", "env=prod", "--label", "zone=a")
    assert now == {**before, "labels": {"env": "prod", "zone": "a"}}
    [now] = clove.json("tokens", "narrow", token, "--no-machines")
    assert (now["target_machines"], now["labels"]) == ([], {"env": "prod", "zone": "a"})


def test_it_fits_a_terminal_and_tells_programs_all(clove: Commands, token: str) -> None:
    words = ["tokens", "narrow", token, "--name", "n" * 60]
    status, lines = on_terminal(clove.environ, *words)
    assert (status, [len(line) > 80 for line in lines]) == (0, [False] * len(lines))
    assert clove.json(*words)[0]["name"] == "n" * 60


@pytest.mark.parametrize(
    "more",
    [
        ("--machine", "m3"),
        ("--label", "zone=a"),
        ("--permissions", '{"can_exec": true}'),
        ("--expires", "48h"),
        ("--no-labels", "--no-machines"),
    ],
)
def test_a_token_never_gets_more_and_never_nothing(
    clove: Commands, token: str, more: tuple[str, ...]
) -> None:
    before = clove.json("tokens", "show", token)
    result = clove("tokens", "narrow", token, *more)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "token" in result.stderr
    assert result.stderr.count("\n") == 1
    assert clove.json("tokens", "show", token) == before


def test_other_kinds_have_a_name_and_an_end_alone(clove: Commands) -> None:
    [made] = clove.json("tokens", "create", "--kind", "admin", "--name", "ann")
    words = ("tokens", "narrow", str(made["id"]))
    assert "kind admin has no machines" in clove(*words, "--machine", "m1").stderr
    [now] = clove.json(*words, "--expires", "1h")
    assert (made["expires_at"], bool(now["expires_at"])) == (None, True)
    clove.out("tokens", "revoke", str(made["id"]))
    result = clove(*words, "--expires", "1h")
    assert (result.exit_code, "not valid any more" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--machine", "m1", "--no-machines"),
        ("--label", "a=b", "--no-labels"),
        ("--permissions", "{"),
        ("--permissions", "[]"),
        ("--permissions", '{"can_thnk": false}'),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    clove: Commands, token: str, words: tuple[str, ...]
) -> None:
    before = clove.json("tokens", "show", token)
    result = clove("tokens", "narrow", token, *words)
    assert (result.exit_code in (1, 2), bool(result.stderr)) == (True, True)
    assert clove.json("tokens", "show", token) == before
