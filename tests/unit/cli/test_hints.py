"""Hints in the words of somebody at a command line."""

from __future__ import annotations

import pytest

from clove.cli.console import Console
from clove.cli.fleet.context import Context
from clove.cli.hints import for_commands, on_a_machine
from clove.errors import ConnectionLost
from clove.relay.absent import no_machine, no_token


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("", ""),
        (no_machine().hint, "list them: clove machines list"),
        (no_token().hint, "list them: clove tokens list"),
        (
            "GET /api/v1/machines (clove machines list) says since when; start its kernel, or try again",
            "clove machines list says since when; start its kernel, or try again",
        ),
        (
            "choose another machine_id, or make a token for it (/api/v1/tokens)",
            "choose another machine_id, or make a token for it",
        ),
        ("GET /api/v1/openapi.json has the fields of each route", ""),
        ("see /api/v1/openapi.json", ""),
        (
            "end that: `draining` false (clove machines drain m --off)",
            "end that: clove machines drain m --off",
        ),
        ("LIST (clove ps) shows the agents", "clove ps shows the agents"),
        ("check the token; then TUNNEL_CONNECT (clove tunnel join) again", None),
        ("a path such as /srv/api (GET it) stays", "a path such as /srv/api (GET it) stays"),
    ],
)
def test_a_hint_names_commands_and_no_routes(hint: str, shown: str | None) -> None:
    expected = "check the token; then clove tunnel join again" if shown is None else shown
    assert for_commands(hint) == expected


def test_a_hint_about_a_machines_kernel_names_that_machine() -> None:
    hint = "clove ps -a shows the agents; clove machines list the machines"
    assert on_a_machine(hint, "a b/m") == (
        "clove --context 'a b/m' ps -a shows the agents; clove machines list the machines"
    )


@pytest.mark.parametrize(
    ("context", "command"),
    [
        ("prod/m", "clove --context prod machines ssh m -- clove audit"),
        ("/m", "clove machines ssh m -- clove audit"),
    ],
)
def test_what_is_for_a_command_on_the_machine_itself_goes_there_by_ssh(
    context: str, command: str
) -> None:
    assert on_a_machine("clove audit there", context) == command


def test_where_a_connection_has_ended_it_is_said_what_to_look_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(None, False)
    console.error(ConnectionLost("the kernel closed the connection"))
    console.error(ConnectionLost("no kernel listens at x", hint="start one"))
    console.remote = Context("prod", {"relay": "https://r:1"}, machine="build-7")
    console.error(ConnectionLost("the kernel closed the connection"))
    here, hinted, there = capsys.readouterr().err.splitlines()
    assert here.endswith(
        "connection - did the kernel end? clove up says whether it runs, or starts it"
    )
    assert hinted == "clove: no kernel listens at x - start one"
    assert there.endswith("- is the machine connected? clove machines show build-7 --context prod")
