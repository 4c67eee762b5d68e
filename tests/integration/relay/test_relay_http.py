"""What is too large, too slow, too much or no HTTP at all ends alone; others are served meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.relay.relay_process import RelayProcess, relay_process
from tests.waiting import until

CONFIG = """
[rest]
port = 0
[limits.rest]
body = 1000
bodies = 3000
deploy_body = 2000
request_timeout = 1.0
connections_per_address = 8
rate = 1000
burst = 1000
"""


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with relay_process(tmp_path_factory.mktemp("relay"), CONFIG) as running:
        yield running


@pytest.fixture
def said(relay: RelayProcess) -> Iterator[socket.socket]:
    with relay.connect() as connection:
        yield connection
    until(lambda: serves(relay), "it serves others")


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def serves(relay: RelayProcess) -> bool:
    """It does not while there is one connection too many."""
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        return relay.ask("GET", "/healthz")[0] == 200
    return False


def head(path: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *more, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "announced",
    ["Content-Length: 1001", "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked"],
)
def test_a_body_that_is_too_large_is_refused(announced: str, said: socket.socket) -> None:
    said.sendall(head("/api/v1/machines", announced))
    if "chunked" in announced:
        said.sendall(b"3e9\r\n" + bytes(1001) + b"\r\n")
    reply = all_of(said)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"limit_exceeded"' in reply


def test_a_body_to_deploy_may_be_larger(said: socket.socket) -> None:
    said.sendall(head("/api/v1/agents/deploy", "Content-Length: 2001"))
    assert all_of(said).startswith(b"HTTP/1.1 413 ")


def test_bodies_of_many_connections_are_bounded_together(relay: RelayProcess) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(relay.connect()) for _ in range(4)]
        for each in held[:3]:
            each.sendall(head("/api/v1/machines", "Content-Length: 1000"))
        held[3].sendall(head("/api/v1/machines", "Content-Length: 1000"))
        replies = [all_of(each) for each in held]
    assert sum(reply.startswith(b"HTTP/1.1 503 ") for reply in replies) == 1
    status, _ = relay.ask("POST", "/api/v1/machines", {"machine_id": "x", "name": "y" * 900})
    assert status == 400  # the name is too long; the body was received


def test_a_byte_now_and_then_does_not_hold_a_connection(said: socket.socket) -> None:
    def sends_one_more() -> bool:
        try:
            said.sendall(b"X")
        except ConnectionError:
            return True
        said.setblocking(False)
        try:
            return said.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        finally:
            said.setblocking(True)

    until(sends_one_more, "the connection is closed")


def test_one_connection_too_many_of_an_address_is_closed(relay: RelayProcess) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(relay.connect()) for _ in range(9)]
        assert all_of(held[8]) == b""
    until(lambda: serves(relay), "it serves again")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
        b"GET /\xff%ff%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"* * *\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_request_of_ours_ends_there(sent: bytes, said: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        said.sendall(sent)
    assert b" 200 " not in all_of(said)[:20]


def test_a_form_is_not_taken_for_a_request(relay: RelayProcess) -> None:
    body = b"machine_id=formed"
    with relay.connect() as connection:
        connection.sendall(
            head(
                "/api/v1/machines",
                f"Authorization: Bearer {relay.admin}",
                "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(body)}",
            )
            + body
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_too_many_requests_of_a_token_are_told_to_wait(tmp_path: Path) -> None:
    with relay_process(
        tmp_path, "[rest]\nport = 0\n[limits.rest]\nrate = 0.01\nburst = 2\n"
    ) as relay:
        found = [relay.ask("GET", "/api/v1/status")[0] for _ in range(3)]
        assert found == [200, 200, 429]
        assert relay.ask("GET", "/healthz")[0] == 200  # by its address


ROUTES = {
    "one for everybody": ("/healthz", "", 200),
    "one that shows": ("/api/v1/status", "machine", 200),
    "one that acts on machines": ("/api/v1/machines/none/agents", "agent", 404),
    "one for administrators": ("/api/v1/audit", "admin", 200),
    "one for another kind of token": ("/api/v1/audit", "agent", 403),
    "one that streams": ("/api/v1/agents/1/stream?machine_id=none", "agent", 404),
}
"""Path, kind of token and status, of a route of each class."""


def test_routes_of_every_class_have_a_rate(tmp_path: Path) -> None:
    config = "[rest]\nport = 0\n[limits.rest]\nrate = 0.01\nburst = 8\n"
    with relay_process(tmp_path, config) as relay:
        bodies = {
            "machine": {"machine_id": "m"},
            "agent": {"target_machine": "none"},
            "admin": {"name": "a"},
        }
        made = {}
        for name, (_, kind, _) in ROUTES.items():
            path = f"/api/v1/tokens/{kind}"
            made[name] = relay.ask("POST", path, bodies[kind])[1]["token"] if kind else None
        for name, (path, _, status) in ROUTES.items():
            found = [relay.ask("GET", path, token=made[name])[0] for _ in range(9)]
            assert found == [*[status] * 8, 429], name
