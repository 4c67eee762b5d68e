"""Commands for a relay, where something else answers at its address, or a relay that is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.integration.relay.commands import Commands
from tests.integration.relay.test_command_errors import EACH

MACHINE = {
    "machine_id": "m1",
    "name": "",
    "provider": "",
    "presence": "connected",
    "presence_since": "2026-12-01T00:00:00+00:00",
    "ip_address": "",
    "created_at": "2026-12-01T00:00:00+00:00",
    "metadata": {},
    "labels": {},
    "versions": {},
    "isolation": {},
    "has_key": True,
    "draining": False,
    "flags": [],
}
LOGIN = {"user_code": "ABCD", "device_code": "x", "seconds": 60, "interval": 0}


class Answers(ThreadingHTTPServer):
    """@ivar said: what is answered to everything, or to each method and path without its query."""

    said: dict[str, Any]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.server.said
        route = f"{self.command} {self.path.partition('?')[0].removeprefix('/api/v1/')}"
        body = json.dumps(said.get(route, said.get("", {}))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    with Answers(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def check_refused(clove: Commands, answers: Answers, *words: str) -> None:
    result = clove(*words, CLOVE_RELAY=answers.url)
    assert result.exit_code == 1, (result.output, result.exception)
    assert "this is no relay's answer" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize("words", EACH, ids=" ".join)
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"machines": [{}], "tokens": [{}], "entries": [{}], "agents": [{}], "id": 5},
        {"machines": 7, "tokens": None, "entries": "", "agents": {}, "labels": [], "token": []},
    ],
    ids=["empty", "hollow", "mistyped"],
)
def test_what_no_relay_says_is_refused(
    clove: Commands, answers: Answers, words: list[str], said: dict[str, Any]
) -> None:
    answers.said = {"": said}
    check_refused(clove, answers, *words)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("presence", "asleep"),
        ("presence_since", "yesterday"),
        ("created_at", None),
        ("labels", {"a": 1}),
        ("flags", [{"what": "x"}]),
        ("metadata", []),
        ("isolation", None),
    ],
)
@pytest.mark.parametrize("verb", ["list", "show", "doctor", "ssh", "label"])
def test_a_machine_with_a_wrong_field_is_refused(
    clove: Commands, answers: Answers, verb: str, field: str, value: object
) -> None:
    wrong = {**MACHINE, field: value}
    answers.said = {"": {**wrong, "machines": [wrong]}}
    check_refused(
        clove, answers, "machines", verb, *{"list": [], "label": ["m1", "a=b"]}.get(verb, ["m1"])
    )


@pytest.mark.parametrize(
    "said",
    [
        {"POST logins": {}},
        {"POST logins": {**LOGIN, "interval": -1}},
        {"POST logins": {**LOGIN, "seconds": "long"}},
        {"POST logins": LOGIN, "POST logins/token": {}},
        {"POST logins": LOGIN, "POST logins/token": {"status": "confirmed", "token": {}}},
        {"POST logins": LOGIN, "POST logins/token": {"status": "confirmed"}},
    ],
)
def test_a_login_by_a_page_that_is_none_is_refused(
    clove: Commands, answers: Answers, said: dict[str, Any]
) -> None:
    answers.said = said
    result = clove("login", "--browser", answers.url)
    assert result.exit_code == 1, (result.output, result.exception)
    assert "this is no relay's answer" in result.stderr


def test_a_machine_with_all_fields_is_shown(clove: Commands, answers: Answers) -> None:
    answers.said = {
        "": {**MACHINE, "a_field_of_a_newer_relay": 1},
        "GET tokens": {"tokens": [], "next": ""},
    }
    result = clove("machines", "show", "m1", CLOVE_RELAY=answers.url)
    assert (result.exit_code, "m1" in result.stdout) == (0, True)
