"""A shell completes names from the fleet, and waits a second for them at most."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from clove.cli.fleet import fleet_types
from clove.cli.main import main
from tests.integration.relay.commands import Commands
from tests.integration.relay.relay_process import RelayProcess


@pytest.fixture(autouse=True)
def environ(clove: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's, as a shell that completes has it."""
    for name, value in clove.environ.items():
        monkeypatch.setenv(name, value)


def completed(*words: str) -> list[str]:
    """What the last of these words may become."""
    *before, last = words
    completion = BashComplete(main, {}, "clove", "_CLOVE_COMPLETE")
    return [each.value for each in completion.get_completions(list(before), last)]


@pytest.fixture
def silent() -> Iterator[str]:
    """A relay that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_machines(shared_relay: RelayProcess) -> None:
    for name in ("complete-1", "complete-2"):
        shared_relay.ask("POST", "/api/v1/machines", {"machine_id": name})
    expected = ["complete-1", "complete-2"]
    assert completed("machines", "show", "complete") == expected
    assert completed("tokens", "create", "--machine", "complete") == expected
    assert completed("tokens", "narrow", "0" * 16, "--machine", "complete") == expected
    assert completed("machines", "show", "complete-2") == ["complete-2"]


def test_ids_of_tokens(clove: Commands) -> None:
    ids = [each["id"] for each in clove.json("tokens", "list")]
    assert completed("tokens", "revoke", "") == ids
    assert completed("tokens", "revoke", "zz") == []
    assert completed("tokens", "narrow", "") == ids


def test_contexts_and_their_keys(tmp_path: Path) -> None:
    path = tmp_path / ".clove" / "config.yaml"
    path.parent.mkdir()
    path.write_text("contexts: {prod: {relay: 'http://a'}, lab: {relay: 'http://b'}}\n")
    path.chmod(0o600)
    for words in (["config", "use"], ["logout"], ["status", "--context"], ["--context"]):
        assert completed(*words, "") == ["prod", "lab"]
        assert completed(*words, "p") == ["prod"]
    assert completed("config", "set", "token_") == ["token_file", "token_command", "token_keyring"]
    path.chmod(0o644)
    assert completed("config", "use", "") == []


def test_a_relay_that_does_not_answer_or_refuses_gives_nothing(
    silent: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet_types, "SECONDS", 0.05)
    assert completed("machines", "show", "--relay", silent, "") == []
    assert completed("machines", "show", "--relay", "nonsense", "") == []
    monkeypatch.setenv("CLOVE_RELAY_TOKEN", "wrong")
    assert completed("machines", "show", "") == []
    assert capfd.readouterr() == ("", "")
