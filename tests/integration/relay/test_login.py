"""`clove login` and `clove logout`."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from clove.cli.console import Console
from clove.cli.fleet.kept_token import checked_token
from tests.integration.relay.commands import Commands, on_terminal
from tests.integration.relay.relay_process import RelayProcess

PLAIN: dict[str, str | None] = {"CLOVE_RELAY": None, "CLOVE_RELAY_TOKEN": None}
SECRET_TOOL = """#!/bin/sh
# keeps secrets as files; says what its arguments were
echo "$@" >> "$KEYRING/asked"
for name; do :; done
file="$KEYRING/$(echo "$name" | tr / _)"
case $1 in
    store) cat > "$file" ;;
    lookup) cat "$file" ;;
    clear) rm "$file" ;;
esac
"""


@pytest.fixture
def token(clove: Commands) -> str:
    """A new admin token."""
    return clove.out("tokens", "create", "--kind", "admin", "--name", "ann").strip()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".clove" / "config.yaml"


def login(clove: Commands, token: str, *words: str, **environ: str | None) -> Result:
    return clove.typed(f"{token}\n", "login", clove.url, *words, **{**PLAIN, **environ})


def test_a_token_from_standard_input_is_checked_and_kept(
    clove: Commands, token: str, file: Path
) -> None:
    result = login(clove, token)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"logged in to {clove.url} with admin token ")
    assert "'ann'" in result.stdout
    assert "the current context is local" in result.stdout
    assert token not in result.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert clove("status", **PLAIN).exit_code == 0
    assert json.loads(clove("config", "show", "--json", **PLAIN).stdout)["context"] == "local"


def test_a_token_that_is_typed_is_not_shown(clove: Commands, token: str, file: Path) -> None:
    environ = {"CLOVE_RELAY": "", "CLOVE_RELAY_TOKEN": ""}
    status, lines = on_terminal(environ, "login", clove.url, "--name", "lab", typed=f"{token}\n")
    assert status == 0, lines
    assert f"token: {token}" in file.read_text()
    assert all(len(line) <= 100 for line in lines)
    assert any(line.startswith("Token:") for line in lines)


@pytest.mark.parametrize(
    ("typed", "said"), [("\n", "no token was typed"), ("x" * 1025 + "\n", "this is no token")]
)
def test_what_is_typed_and_no_token_ends_it_at_once(
    clove: Commands, file: Path, typed: str, said: str
) -> None:
    environ = {"CLOVE_RELAY": "", "CLOVE_RELAY_TOKEN": ""}
    status, lines = on_terminal(environ, "login", clove.url, typed=typed)
    assert (status, said in lines[-1]) == (1, True), lines
    assert not file.exists()


def test_for_programs_it_is_json_without_the_token(clove: Commands, token: str) -> None:
    found = json.loads(login(clove, token, "--name", "lab", "--json").stdout)
    assert (found["context"], found["token"]["type"], found["token"]["name"]) == (
        *("lab", "admin"),
        "ann",
    )
    assert token not in json.dumps(found)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("clove_admin_wrong", "this is no token"),
        ("", "there is no token on standard input"),
        ("clove_join_x_y", "clove tunnel join"),
        ("x" * 2000, "there is no token on standard input"),
    ],
)
def test_what_is_no_token_is_refused_and_nothing_is_kept(
    clove: Commands, file: Path, typed: str, said: str
) -> None:
    result = login(clove, typed)
    assert (result.exit_code, said in result.stderr) == (1, True)
    assert typed[:2000] not in result.stderr or not typed
    assert not file.exists()


def test_a_relay_that_is_not_there_keeps_nothing(clove: Commands, token: str, file: Path) -> None:
    result = clove.typed(token, "login", "http://127.0.0.1:1", **PLAIN)
    assert (result.exit_code, "cannot reach the relay" in result.stderr) == (1, True)
    assert not file.exists()
    result = clove("login", "http://relay.example.org", **PLAIN)  # nothing is asked for
    assert (result.exit_code, "unencrypted" in result.stderr) == (1, True)


def test_a_second_login_renews_the_token_and_leaves_the_rest(
    clove: Commands, token: str, file: Path
) -> None:
    login(clove, token, "--name", "lab")
    file.write_text(file.read_text().replace("current: lab", "# mine\ncurrent: lab"))
    clove("config", "set", "machine", "m1", **PLAIN)
    other = clove.out("tokens", "create", "--kind", "agent", "--label", "a=b").strip()
    result = clove.typed(other, "login", **PLAIN)
    assert (result.exit_code, "agent token" in result.stdout) == (0, True)
    text = file.read_text()
    assert (other in text, token in text) == (True, False)
    assert "# mine\n" in text
    assert "machine: m1\n" in text


def test_a_context_of_another_relay_is_not_taken_over(
    clove: Commands, token: str, file: Path
) -> None:
    login(clove, token, "--name", "lab")
    result = clove.typed(token, "login", "http://127.0.0.1:1", "--name", "lab", **PLAIN)
    assert (result.exit_code, f"context lab is for {clove.url}" in result.stderr) == (1, True)


def test_logging_out_forgets_the_token_and_revokes_it_if_asked(
    clove: Commands, token: str, file: Path
) -> None:
    login(clove, token, "--name", "lab")
    assert clove("logout", **PLAIN).stdout == "context lab has no token any more\n"
    assert token not in file.read_text()
    missing = clove("status", **PLAIN)
    assert (missing.exit_code, "clove login --name lab" in missing.stderr) == (1, True)
    assert clove("status", CLOVE_RELAY_TOKEN=token).exit_code == 0
    login(clove, token, "--name", "lab")
    assert "and it was revoked" in clove("logout", "lab", "--revoke", **PLAIN).stdout
    assert clove("status", CLOVE_RELAY_TOKEN=token).exit_code == 1
    assert "did you mean lab?" in clove("logout", "lb", **PLAIN).stderr


def test_logging_out_of_a_relay_that_is_not_there_changes_nothing(
    clove: Commands, token: str, file: Path
) -> None:
    login(clove, token, "--name", "lab")
    file.write_text(file.read_text().replace(clove.url, "http://127.0.0.1:1"))
    before = file.read_text()
    assert clove("logout", "--revoke", **PLAIN).exit_code == 1
    assert file.read_text() == before


def test_the_keyring_keeps_it_and_no_argument_has_it(
    clove: Commands, token: str, file: Path, tmp_path: Path
) -> None:
    missing = login(clove, token, "--keyring", PATH="/nonexistent")
    assert (missing.exit_code, "libsecret-tools" in missing.stderr) == (1, True)
    tool = tmp_path / "secret-tool"
    tool.write_text(SECRET_TOOL)
    tool.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "KEYRING": str(tmp_path)}
    result = login(clove, token, "--keyring", "--name", "lab", **environ)
    assert (result.exit_code, "kept in the keyring" in result.stdout) == (0, True)
    assert token not in file.read_text()
    assert clove("status", **PLAIN, **environ).exit_code == 0
    assert clove("logout", **PLAIN, **environ).exit_code == 0
    assert clove("status", **PLAIN, **environ).exit_code == 1
    assert token not in (tmp_path / "asked").read_text()


def decide(
    shared_relay: RelayProcess, monkeypatch: pytest.MonkeyPatch, method: str, more: str
) -> None:
    """While the command waits, a person decides on the page about the computer that waits last."""
    codes: list[str] = []
    line = Console.line

    def shown(console: Console, text: str, **kw: Any) -> None:
        codes.extend(re.findall(r"type ([B-Z]{4}-[B-Z]{4})$", text))
        line(console, text, **kw)

    def wait(_seconds: float) -> None:
        [code] = codes
        status, found = shared_relay.ask(
            method, f"/api/v1/logins/{code}{more}", {} if more else None
        )
        assert (status, found["source"]) == (200, "127.0.0.1")

    monkeypatch.setattr(Console, "line", shown)
    monkeypatch.setattr("clove.cli.fleet.browser_login.time.sleep", wait)


def test_a_code_that_is_confirmed_on_the_page_gives_a_token_of_its_own(
    clove: Commands,
    shared_relay: RelayProcess,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decide(shared_relay, monkeypatch, "POST", "/confirm")
    result = clove("login", "--browser", clove.url, **PLAIN)
    assert result.exit_code == 0, result.output
    assert f"open {clove.url}/#/login" in result.stdout
    assert "with admin token" in result.stdout
    [token] = re.findall(r"clove_admin_\w+", file.read_text())
    assert token not in result.output
    assert shared_relay.ask("GET", "/api/v1/token", token=token)[1]["name"].count("@") == 1


def test_a_code_that_is_refused_keeps_nothing(
    clove: Commands,
    shared_relay: RelayProcess,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decide(shared_relay, monkeypatch, "DELETE", "")
    result = clove("login", "--browser", clove.url, **PLAIN)
    assert (result.exit_code, "this login was refused" in result.stderr) == (1, True)
    assert not file.exists()


def test_a_relay_without_such_logins_says_so(clove: Commands, older_relay: str) -> None:
    result = clove("login", "--browser", older_relay, **PLAIN)
    assert (result.exit_code, "log in with a token" in result.stderr) == (1, True)


class OlderRelay(http.server.BaseHTTPRequestHandler):
    """One that does not say what a token is."""

    def do_GET(self) -> None:
        known = self.path == "/api/v1/status"
        status = {"version": "0.0.1", "uptime_seconds": 1.5, "machines": 0, "agents": 0}
        body = json.dumps(status if known else {"error": "nothing", "code": "not_found"})
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def older_relay() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), OlderRelay)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_relay_of_an_earlier_version_is_asked_for_its_status(older_relay: str) -> None:
    found = checked_token(older_relay, "clove_admin_x_y", None)
    assert (found["type"], found["expires_at"]) == ("admin", None)
