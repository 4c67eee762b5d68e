"""The REST API as a client: it gets what the relay has, and errors as what they are."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.client.fleet import FleetClient
from clove.errors import (
    CloveError,
    ConnectionLost,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    RateLimited,
    TimedOut,
)
from tests.integration.relay.relay_process import RelayProcess, relay_process
from tests.tls_identity import make_identity


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with relay_process(tmp_path_factory.mktemp("relay")) as running:
        yield running


@pytest.fixture
def fleet(relay: RelayProcess) -> FleetClient:
    return FleetClient(f"http://127.0.0.1:{relay.port}", relay.admin)


def test_machines_and_tokens_are_managed(fleet: FleetClient, relay: RelayProcess) -> None:
    made = fleet.add_machine("m1", provider="aws")
    assert fleet.change_machine("m1", labels={"env": "x"})["labels"] == {"env": "x"}
    assert fleet.machine("m1")["provider"] == "aws"
    assert [each["machine_id"] for each in fleet.machines()] == ["m1"]
    assert fleet.status()["machines"] == 1
    assert [*fleet.agents(), *fleet.agents("m1")] == []
    token = fleet.issue_token("agent", target_machine="m1")
    theirs = FleetClient(f"http://127.0.0.1:{relay.port}", token["token"])
    assert [each["machine_id"] for each in theirs.machines()] == ["m1"]
    with pytest.raises(PermissionDenied) as caught:
        theirs.remove_machine("m1")
    assert (caught.value.rule, "admin" in caught.value.hint) == ("token kind", True)
    fleet.revoke_token(token["id"])
    with pytest.raises(NotAuthenticated):
        theirs.status()
    assert {each["id"]: each["valid"] for each in fleet.tokens()}[token["id"]] is False
    fleet.remove_machine("m1")
    with pytest.raises(NotFound):
        fleet.machine("m1")
    with pytest.raises(NotAuthenticated):
        FleetClient(f"http://127.0.0.1:{relay.port}", made["token"]).status()


def test_an_id_in_a_path_stays_one_part_of_it(fleet: FleetClient) -> None:
    for odd in ("../tokens", "a/b", "?", "a#b", "%2e%2e"):
        with pytest.raises(NotFound):
            fleet.machine(odd)


def test_lists_are_read_to_their_end(fleet: FleetClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clove.client.fleet_plan.PAGE", 2)
    names = ["p1", "p2", "p3", "p4", "p5"]
    for name in names:
        fleet.add_machine(name)
    assert [each["machine_id"] for each in fleet.machines()] == names
    for name in names:
        fleet.remove_machine(name)


def test_tls_is_checked(tmp_path: Path) -> None:
    key, certificate = make_identity(tmp_path)
    os.chmod(key, 0o600)
    config = f'[rest]\nport = 0\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    with relay_process(tmp_path, config) as relay:
        for ca_file in (None, certificate):  # not of an authority; for another name
            fleet = FleetClient(f"https://127.0.0.1:{relay.port}", relay.admin, ca_file=ca_file)
            with pytest.raises(ConnectionLost, match="no TLS"):
                fleet.status()


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1", "http://relay.example.org:1", "ftp://x", "localhost:1", "", "http://a:b"],
)
def test_an_address_that_would_give_the_token_away_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        FleetClient(url, "secret")


def test_no_relay_there_is_said(relay: RelayProcess, tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost, match="cannot reach"):
        FleetClient("http://127.0.0.1:1", "x").status()
    with pytest.raises(InvalidRequest):
        FleetClient("https://127.0.0.1:1", "x", ca_file=str(tmp_path / "none"))


class _Strange(http.server.BaseHTTPRequestHandler):
    """Answers as no relay does."""

    seen: list[str] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        path = self.path.split("?")[0]
        if path == "/api/v1/status":
            self._answer(302, b"", Location="/stolen")
        elif path == "/api/v1/agents":
            self._answer(200, b"[" * 100_000)
        elif path == "/api/v1/machines":
            self._answer(429, b'{"code": "rate_limited", "error": "slow"}', **{"Retry-After": "7"})
        else:
            threading.Event().wait(1)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not on stderr."""


@pytest.fixture
def strange() -> Iterator[FleetClient]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Strange) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield FleetClient(f"http://127.0.0.1:{server.server_address[1]}", "x", timeout=0.2)
        server.shutdown()
        thread.join()


def test_what_no_relay_answers_is_an_error(strange: FleetClient) -> None:
    with pytest.raises(CloveError, match="no relay's answer"):
        strange.status()
    assert "/stolen" not in _Strange.seen
    with pytest.raises(CloveError, match="no relay's answer"):
        list(strange.agents())
    with pytest.raises(RateLimited) as caught:
        list(strange.machines())
    assert caught.value.retry_after == 7.0
    with pytest.raises(TimedOut):
        strange.machine("m1")
