"""What is typed wrongly is judged before anything is asked for, and refused with what is near."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from clove.cli.main import main


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://127.0.0.1:8766", "ws://127.0.0.1:8765"),
        ("https://relay.example.org:8766/", "wss://relay.example.org:8765"),
        ("https://relay.example.org", "wss://relay.example.org:8765"),
        ("http://[::1]:9000", "ws://[::1]:9000"),
    ],
)
def test_an_address_of_the_page_is_refused_with_that_of_the_websockets(
    url: str, meant: str
) -> None:
    refused = CliRunner().invoke(main, ["tunnel", "join", url, "m"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"did you mean {meant}?" in refused.stderr
    assert "token" not in refused.stderr


@pytest.mark.parametrize(
    "url", ["ftp://relay", "wss://", "wss://relay:99999", "wss://[", "a b://c"]
)
def test_what_is_no_address_is_refused_before_a_token_is_asked_for(url: str) -> None:
    refused = CliRunner().invoke(main, ["tunnel", "join", url, "m"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no relay's address - it is like wss://" in refused.stderr


def test_without_a_kernel_no_token_is_asked_for() -> None:
    socket = ["--socket", "/nonexistent/clove.sock"]
    refused = CliRunner().invoke(main, [*socket, "tunnel", "join", "wss://relay.example.org", "m"])
    assert refused.exit_code == 1
    assert "no kernel listens at" in refused.stderr


@pytest.mark.parametrize("name", ["SIGTRM", "trm"])
def test_a_signal_that_is_none_is_refused_before_agents_are_looked_for(name: str) -> None:
    refused = CliRunner().invoke(main, ["kill", "--signal", name, "x"])
    assert refused.exit_code == 2
    assert "did you mean SIGTERM?" in refused.stderr


def test_a_signal_that_stops_an_agent_is_refused_with_the_command_that_pauses_it() -> None:
    refused = CliRunner().invoke(main, ["kill", "--signal", "STOP", "x"])
    assert refused.exit_code == 2
    assert "use clove pause" in refused.stderr


@pytest.mark.parametrize(
    "words", [["worker", "RAED"], ["worker", "raed", "/x"], ["RAED", "/x"], ["RAED"]]
)
def test_a_misspelt_syscall_is_refused_with_the_near_one(words: list[str]) -> None:
    refused = CliRunner().invoke(main, ["why", *words])
    assert refused.exit_code == 2
    assert "did you mean READ?" in refused.stderr


def test_without_a_syscall_some_are_named() -> None:
    refused = CliRunner().invoke(main, ["why", "worker"])
    assert refused.exit_code == 2
    assert "which syscall? READ, WRITE," in refused.stderr


@pytest.mark.parametrize(
    "words", [["READ", "/x", "--socket", "/none"], ["READ", "--socket=/none", "/x", "--json"]]
)
def test_options_of_why_may_stand_behind_its_question(words: list[str]) -> None:
    refused = CliRunner().invoke(main, ["why", *words])
    assert refused.exit_code == 1
    assert "no kernel listens at /none" in refused.output


def test_an_option_of_why_without_its_value_is_refused() -> None:
    assert CliRunner().invoke(main, ["why", "READ", "/x", "--socket"]).exit_code == 2
