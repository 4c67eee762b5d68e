"""What a deployment by ssh would do: said without asking anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clove.cli.main import main

LOCAL = ("--relay", "http://127.0.0.1:8766", "--dry-run")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("CLOVE_RELAY", "CLOVE_CONTEXT"):
        monkeypatch.delenv(name, raising=False)


def planned(*words: str) -> str:
    result = CliRunner().invoke(main, ["deploy", "ssh", *words])
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


@pytest.mark.parametrize("host", ["ann@build-7", "10.0.0.7", "ann@[2001:db8::7]"])
@pytest.mark.parametrize("words", [LOCAL, (*LOCAL, "--json")])
def test_a_relay_on_loopback_is_said_not_to_be_reached_from_another_host(
    host: str, words: tuple[str, ...]
) -> None:
    said = planned(host, "--name", "b7", *words)
    own = host.rpartition("@")[2]
    assert f"the way to ws://127.0.0.1:8765, which from there is {own} itself" in said
    assert "say --hub" in said


@pytest.mark.parametrize(
    ("host", "hub"),
    [
        ("ann@build-7", "wss://relay.example.org:8765"),
        ("localhost", "ws://127.0.0.1:8765"),
        ("ann@127.0.0.1", "ws://localhost:8765"),
    ],
)
def test_a_relay_that_can_be_reached_is_not_warned_of(host: str, hub: str) -> None:
    assert "itself" not in planned(host, "--name", "b7", "--hub", hub, *LOCAL)
