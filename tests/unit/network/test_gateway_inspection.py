"""What clients say of where they go."""

from __future__ import annotations

import ssl

import pytest

from clove.kernel.network.gateway.client_hello import BadHello, read_hello
from clove.kernel.network.gateway.inspection import Disagreement, Inspection
from clove.policy import parse

RULES = parse(None, {"can_http": True, "allowed_domains": ["api.test"]})
SERVER_HELLO = b"\x16\x03\x03\x00\x2a\x02\0\0\x26\3\3" + bytes(36)
HEAD = b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"


def hello(name: str | None) -> bytes:
    """A real ClientHello."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def inspection(port: int = 80, most: int = 4096) -> Inspection:
    return Inspection("api.test", port, RULES, most)


def refusal(data: bytes, port: int = 80) -> str:
    with pytest.raises(Disagreement) as raised:
        inspection(port).feed(data)
    return raised.value.rule


def test_the_servers_name_of_real_tls_is_read() -> None:
    found = read_hello(hello("api.test"))
    assert found is not None
    assert found.name == "api.test"
    assert found.encrypted is False


@pytest.mark.parametrize("port", [443, 8443])
def test_tls_with_the_right_name_passes_whole_however_it_is_cut(port: int) -> None:
    inspected = inspection(port)
    data = hello("API.test")
    passed = b"".join(inspected.feed(data[at : at + 1]) for at in range(len(data)))
    assert passed == data
    assert inspected.waiting
    assert inspected.answered(SERVER_HELLO) == b""
    assert inspected.transparent


@pytest.mark.parametrize("pieces", [40, 100])
def test_a_hello_in_many_records_is_read(pieces: int) -> None:
    body = hello("api.test")[5:]
    data = b"".join(
        b"\x16\x03\x01" + len(body[at : at + pieces]).to_bytes(2, "big") + body[at : at + pieces]
        for at in range(0, len(body), pieces)
    )
    found = read_hello(data)
    assert found is not None
    assert found.name == "api.test"


def test_a_hello_in_ever_more_records_is_refused() -> None:
    body = hello("api.test")[5:]
    data = b"".join(b"\x16\x03\x01\0\1" + bytes([byte]) for byte in body)
    with pytest.raises(BadHello, match="records"):
        read_hello(data)


@pytest.mark.parametrize("port", [80, 443, 8443])
def test_tls_for_another_name_is_refused(port: int) -> None:
    assert refusal(hello("evil.test"), port) == "sni"


def test_tls_without_a_name_is_refused_on_port_443_alone() -> None:
    assert refusal(hello(None), 443) == "sni"
    data = hello(None)
    assert inspection(8443).feed(data) == data


@pytest.mark.parametrize("cut", [50, 100, 150])
def test_a_hello_that_contradicts_itself_is_refused(cut: int) -> None:
    body = hello("api.test")[5:]
    short = b"\x01" + (cut - 4).to_bytes(3, "big") + body[4:cut]
    with pytest.raises(BadHello):
        read_hello(b"\x16\x03\x01" + len(short).to_bytes(2, "big") + short)


def test_plain_bytes_on_port_443_are_refused() -> None:
    assert refusal(HEAD, 443) == "sni"


def test_requests_to_the_right_host_pass() -> None:
    inspected = inspection()
    second = b"POST /a HTTP/1.1\r\nhost: API.TEST.:80\r\nContent-Length: 3\r\n\r\nabc"
    third = (
        b"PUT http://api.test/b HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x=y\r\nGET /\r\n0\r\nA: b\r\n\r\n"
    )
    data = HEAD + second + third + HEAD
    assert inspected.feed(data) == data
    inspected = inspection()
    assert b"".join(inspected.feed(data[at : at + 1]) for at in range(len(data))) == data


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\r\nHost: evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\r\n Host: evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : api.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\0.evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test@evil.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test:81\r\n\r\n",
        b"GET http://evil.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET https://api.test/ HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"CONNECT evil.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET /\nHTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET / HTTP/1.1\nHost: api.test\n\n",
        b"GET  / HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"get / nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 1, 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api.test\r\nX: " + b"a" * 5000,
    ],
)
def test_what_names_another_host_or_could_be_read_in_two_ways_is_refused(head: bytes) -> None:
    assert refusal(head) in ("host", "http-method")


def test_a_pipelined_second_request_is_judged() -> None:
    assert refusal(HEAD + HEAD.replace(b"api", b"evil")) == "host"
    chunks = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert refusal(chunks + HEAD.replace(b"api", b"evil")) == "host"


def test_methods_that_rules_leave_out_are_refused() -> None:
    rules = parse(
        None,
        {"can_http": True, "allowed_domains": ["api.test"], "allowed_http_methods": ["GET"]},
    )
    inspected = Inspection("api.test", 80, rules, 4096)
    assert inspected.feed(HEAD) == HEAD
    with pytest.raises(Disagreement, match="POST"):
        inspected.feed(HEAD.replace(b"GET", b"POST"))


UPGRADE = HEAD.replace(b"\r\n\r\n", b"\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")


def test_after_an_upgrade_that_the_server_agrees_to_everything_passes() -> None:
    inspected = inspection()
    assert inspected.feed(UPGRADE + b"\x81\x00") == UPGRADE
    assert inspected.waiting
    assert inspected.answered(b"HTTP/1.1 101 Switching Protocols\r\n\r\n") == b"\x81\x00"
    assert inspected.transparent


def test_after_an_upgrade_that_the_server_ignores_requests_are_judged_still() -> None:
    inspected = inspection()
    inspected.feed(UPGRADE + HEAD.replace(b"api", b"evil"))
    with pytest.raises(Disagreement):
        inspected.answered(b"HTTP/1.1 200 OK\r\n\r\n")


def test_only_a_first_request_may_upgrade() -> None:
    inspected = inspection()
    inspected.feed(HEAD + UPGRADE)
    assert not inspected.waiting


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-x\r\n", b"EHLO me\r\n", b"AMQP\0\0\x09\x01", b"\x00\x01"]
)
def test_other_protocols_pass_on_other_ports(data: bytes) -> None:
    inspected = inspection(2222)
    assert inspected.feed(data) == data
    assert inspected.transparent


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n\r\n", b"\x00\x01\r\n\r\n"])
def test_other_protocols_are_refused_on_port_80(data: bytes) -> None:
    assert refusal(data, 80) == "host"


def test_http_is_recognised_on_other_ports() -> None:
    assert refusal(HEAD.replace(b"api", b"evil"), 8080) == "host"
    head = HEAD.replace(b"api.test", b"api.test:8080")
    inspected = inspection(8080)
    assert inspected.feed(head[:3]) == head[:3]
    assert inspected.feed(head[3:]) == head[3:]
