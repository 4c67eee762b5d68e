"""Each error that a user of the fleet's commands can hit: what is said, and the exit code."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.relay.commands import Commands
from tests.integration.relay.relay_process import RelayProcess

EACH = (
    ["status"],
    ["machines", "list"],
    ["machines", "show", "m1"],
    ["machines", "logs", "m1"],
    ["machines", "doctor", "m1"],
    ["machines", "ssh", "m1"],
    ["machines", "join", "m1"],
    ["machines", "rename", "m1", "x"],
    ["machines", "label", "m1", "x=y"],
    ["machines", "drain", "m1"],
    ["machines", "remove", "m1"],
    ["machines", "denials"],
    ["tokens", "list"],
    ["tokens", "show", "0" * 16],
    ["tokens", "create", "--kind", "admin"],
    ["tokens", "narrow", "0" * 16, "--name", "ci"],
    ["tokens", "rotate", "0" * 16],
    ["tokens", "revoke", "0" * 16],
)
OF_MACHINE = [words for words in EACH if words[2:3] == ["m1"] and words[1] != "join"]
each = pytest.mark.parametrize("words", EACH, ids=" ".join)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@each
def test_no_relay(clove: Commands, words: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = clove(*words, CLOVE_RELAY=url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot reach the relay at 127.0.0.1" in result.stderr
    assert "is it running" in result.stderr
    assert result.stderr.count("\n") == 1


@each
def test_a_wrong_token(clove: Commands, words: list[str]) -> None:
    result = clove(*words, CLOVE_RELAY_TOKEN="clove_admin_wrong")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "this is no token" in result.stderr
    shown = clove(*words, "--json", CLOVE_RELAY_TOKEN="clove_admin_wrong")
    assert (shown.exit_code, shown.stderr) == (1, "")
    assert json.loads(shown.stdout)["code"] == "not_authenticated"


def test_a_revoked_token(clove: Commands) -> None:
    text = clove.out("tokens", "create", "--kind", "admin").strip()
    own = json.loads(clove.typed(text, "login", "--json").stdout)["token"]["id"]
    clove.out("tokens", "revoke", own)
    result = clove("status", CLOVE_RELAY_TOKEN=text)
    assert (result.exit_code, "it is unknown, revoked, used up or expired" in result.stderr) == (
        1,
        True,
    )


def test_a_token_of_a_kind_that_may_not(clove: Commands) -> None:
    text = clove.out("tokens", "create", "--kind", "agent", "--label", "a=b").strip()
    result = clove("tokens", "list", CLOVE_RELAY_TOKEN=text)
    assert result.exit_code == 1
    assert "not with a token of kind agent" in result.stderr
    assert "use one of kind admin" in result.stderr


def test_no_token_at_all(clove: Commands, tmp_path: Path) -> None:
    result = clove("status", CLOVE_RELAY_TOKEN=None, XDG_CONFIG_HOME=str(tmp_path), PATH="")
    assert (result.exit_code, "clove login URL" in result.stderr) == (1, True)


@pytest.mark.parametrize("words", OF_MACHINE, ids=" ".join)
def test_an_unknown_machine_with_the_near_one(
    clove: Commands, shared_relay: RelayProcess, words: list[str]
) -> None:
    shared_relay.ask("POST", "/api/v1/machines", {"machine_id": "builder-70"})
    words = ["bulder-70" if each == "m1" else each for each in words]
    result = clove(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no such machine: bulder-70 - did you mean builder-70?" in result.stderr
    words = ["nothing-alike" if each == "bulder-70" else each for each in words]
    assert "clove machines list" in clove(*words).stderr


def test_an_unknown_token(clove: Commands) -> None:
    for verb, *options in (["show"], ["narrow", "--name", "ci"], ["rotate"], ["revoke"]):
        result = clove("tokens", verb, "0" * 16, *options)
        assert (result.exit_code, "clove tokens list" in result.stderr) == (1, True)
        result = clove("tokens", verb, clove.environ["CLOVE_RELAY_TOKEN"], *options)  # not its id
        assert (result.exit_code, "clove tokens list" in result.stderr) == (2, True)
        assert "clove_admin" not in result.stderr


class Cut:
    """A relay that dies half-way: it says how long its reply is, and sends a part of it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not connection.recv(65536):
                    return
                head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100"
                connection.sendall(f'{head}\r\n\r\n{{"machines": ['.encode())

    def close(self) -> None:
        with socket.create_connection(self._listener.getsockname()):
            pass
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def cut() -> Iterator[Cut]:
    found = Cut()
    yield found
    found.close()


@each
def test_a_relay_that_goes_down_half_way(clove: Commands, cut: Cut, words: list[str]) -> None:
    result = clove(*words, CLOVE_RELAY=cut.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the relay at 127.0.0.1 has cut its reply off" in result.stderr
    assert "may have been executed" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["status"], ["machines", "list"], ["config", "list"]])
def test_a_configuration_that_cannot_be_used(
    clove: Commands, tmp_path: Path, words: list[str]
) -> None:
    path = tmp_path / ".clove" / "config.yaml"
    path.parent.mkdir()
    path.write_text("contexs:\n")
    path.chmod(0o644)
    result = clove(*words)
    assert (result.exit_code, f"chmod 600 {path}" in result.stderr) == (1, True)
    path.chmod(0o600)
    result = clove(*words)
    assert (result.exit_code, "did you mean contexts?" in result.stderr) == (1, True)


def test_a_context_that_is_not_there(clove: Commands, tmp_path: Path) -> None:
    result = clove("status", "--context", "prod")
    assert (result.exit_code, "clove login URL" in result.stderr) == (1, True)
