"""On ports where anything may be spoken: what is plainly HTTP or TLS never passes as unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.network.gateway.first_bytes import Kind, kind_of
from clove.kernel.network.gateway.http_requests import BadRequest, read_head
from clove.kernel.network.gateway.inspection import Disagreement, Inspection
from clove.policy import parse

RULES = parse(None, {"can_http": True, "allowed_domains": ["api.test:8080", "api.test"]})
EVIL = b" HTTP/1.1\r\nHost: evil.test\r\n\r\n"
GOOD = b"GET / HTTP/1.1\r\nHost: api.test:8080\r\n\r\n"
REQUESTS = [
    b"GET /" + EVIL,
    b"GET /caf\xc3\xa9" + EVIL,
    b"GET /\xff" + EVIL,
    b"GET /a\tb" + EVIL,
    b"GET\t/" + EVIL,
    b"GET /\tHTTP/1.1\r\nHost: evil.test\r\n\r\n",
    b"GET /\0" + EVIL,
    b"GET /\x01\x7f" + EVIL,
    b"GET\x0b/\x0bHTTP/1.1\r\nHost: evil.test\r\n\r\n",
    b"GET\xa0/\xa0HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    b"GET\r/\rHTTP/1.1\nHost: evil.test\n\n",
    b"\xef\xbb\xbfGET /" + EVIL,
    b"(GET) /" + EVIL,
    b"G:T /" + EVIL,
    b"G\xc3T /" + EVIL,
    b"FROB\x0b/\x0bHTTP/1.1\r\nHost: evil.test\r\n\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /" + EVIL,
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET /" + EVIL,
    b"\r\nGET /" + EVIL,
    b"\n\n\r\n\rGET /" + EVIL,
    b" GET /" + EVIL,
    b"\t GET /" + EVIL,
    b"\r\n GET /" + EVIL,
    b" \r\nGET /" + EVIL,
    b" \t\n\t\nGET /" + EVIL,
    b"GET/" + EVIL,
    b"POST\x1c/" + EVIL,
    b'POST"/' + EVIL,
    b"get /" + EVIL,
    b"Get / http/1.1\r\nHost: evil.test\r\n\r\n",
    b"BREW /" + EVIL,
    b"~!* /" + EVIL,
    b"0 /" + EVIL,
    b"GET / HTTP/1.1\nHost: evil.test\n\n",
    b"GET / HTTP/9.9\r\nHost: evil.test\r\n\r\n",
    b"GET /" + b"a" * 9000 + EVIL,
    b"FROB /" + b"a" * 9000 + EVIL,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"GET /\r\n",
    b"GET http://evil.test/\n",
    b"GET  /  HTTP/1.1  \r\nHost: evil.test\r\n\r\n",
    b"CONNECT evil.test:443 HTTP/1.1\r\nHost: api.test:8080\r\n\r\n",
    b"POST http://evil.test/ HTTP/1.1\r\nHost: api.test:8080\r\n\r\n",
]
OTHERS = [
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"EHLO me.test\r\n",
    b"HELO me\n",
    b"USER anonymous\r\n",
    b"a1 LOGIN user password\r\n",
    b"NICK me\r\nUSER me 0 * :me\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"PING\r\n",
    b"get some-key\r\n",
    b"POST\r\n",
    b"HEAD <1@news.test>\r\n",
    b"CONNECT\naccept-version:1.2\nhost:api.test\n\n\0",
    b"OPTIONS rtsp://api.test/a RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    b"INVITE sip:me@api.test SIP/2.0\r\n",
    b"AMQP\0\0\x09\x01",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f",  # PostgreSQL
    b"\x55\x00\x00\x01\x8d\xa6\x03\x00",  # MySQL, behind the server's greeting
    b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03",  # LDAP
    b"\x30\x20\x02\x01\x01\x60\x1b",
    b"\x10\x10\x00\x04MQTT\x04\x02",
    b"\x05\x01\x00",
    b"\xff\xfd\x01",  # telnet
    b'{"id": 1, "protocol": "HTTP/1.1"}\n',
    b"?status\r",
    b"\xe2\x82\xac uro\n",
]


def inspection(port: int = 8080) -> Inspection:
    return Inspection("api.test", port, RULES, 16384)


def send(inspected: Inspection, data: bytes, size: int, passed: list[bytes]) -> None:
    """All of it in pieces, and the end."""
    for at in range(0, len(data), size):
        passed.append(inspected.feed(data[at : at + size]))
    passed.append(inspected.ended())


@pytest.mark.parametrize("data", REQUESTS)
@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_a_request_is_refused_however_it_is_written_and_cut(data: bytes, size: int) -> None:
    passed: list[bytes] = []
    with pytest.raises(Disagreement):
        send(inspection(), data, size, passed)
    gone = b"".join(passed).lstrip(b"\r\n\t ")
    assert not {b"\r", b"\n"} & {gone[at : at + 1] for at in range(len(gone))}
    assert b"HTTP/" not in gone.upper()
    assert b"evil" not in gone or data.startswith((b"GET http://evil", b"CONNECT ", b"POST http:"))


@pytest.mark.parametrize("data", OTHERS)
@pytest.mark.parametrize("size", [1, 3, 100_000])
def test_other_protocols_pass_whole(data: bytes, size: int) -> None:
    inspected = inspection()
    passed = b"".join(inspected.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert passed == data
    assert inspected.transparent


@pytest.mark.parametrize("data", [b"\r\n", b"\n", b"\r\n\r\n"])
def test_a_line_end_goes_on_at_once_and_hides_nothing(data: bytes) -> None:
    """Gopher and finger ask with an empty line; servers of HTTP pass over it."""
    inspected = inspection()
    assert inspected.feed(data) == data
    assert not inspected.transparent
    assert inspected.feed(GOOD) == GOOD
    with pytest.raises(Disagreement):
        inspected.feed(b"GET /" + EVIL)


@pytest.mark.parametrize("data", [b"hello", b"hello world", b"a b c", b" x", b"x"])
def test_a_line_without_an_end_goes_on(data: bytes) -> None:
    """A server may wait for just that word."""
    inspected = inspection()
    assert inspected.feed(data) == data
    assert not inspected.transparent
    assert inspected.feed(b" or") == b" or"
    assert inspected.feed(b"\r") == b""
    assert inspected.feed(b"\n and more") == b"\r\n and more"
    assert inspected.transparent


def test_what_waits_passes_when_nothing_more_comes() -> None:
    inspected = inspection()
    assert inspected.feed(b"hello\tthere\r") == b"hello\tthere"
    assert inspected.ended() == b"\r"
    assert inspected.ended() == b""


def test_text_without_an_end_or_blank_is_other_some_time() -> None:
    inspected = inspection()
    data = b"YWJj" * 2049
    assert inspected.feed(data[:4000]) + inspected.feed(data[4000:]) == data
    assert inspected.transparent


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_a_request_with_a_start_that_went_on_goes_out_as_it_was_sent(size: int) -> None:
    inspected = inspection()
    passed: list[bytes] = []
    data = GOOD + GOOD
    send(inspected, data, size, passed)
    assert b"".join(passed) == data


def test_a_line_that_may_be_a_request_is_not_held_without_bound() -> None:
    with pytest.raises(Disagreement, match="too long"):
        send(inspection(), b"FROB " + b"a" * 20_000, 6000, [])


def test_a_method_and_its_target_in_two_segments() -> None:
    inspected = inspection()
    assert inspected.feed(GOOD[:5]) == GOOD[:5]
    assert inspected.feed(GOOD[5:]) == GOOD[5:]
    inspected = inspection()
    assert inspected.feed(b"GET /a") == b"GET /a"
    with pytest.raises(Disagreement):
        inspected.feed(EVIL)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 60))
def test_what_is_found_early_is_found_of_the_whole(data: bytes, cut: int) -> None:
    early = kind_of(data[:cut])
    # Some text protocols end their lines by \r alone, so what follows one is not waited for.
    at_bare_return = early is Kind.OTHER and data[:cut].endswith(b"\r")
    assert early is None or at_bare_return or early is kind_of(data)


@given(
    st.text("GETPOSabc!~0", min_size=1, max_size=8),
    st.binary(max_size=20).filter(lambda target: b"\n" not in target),
)
def test_what_the_rules_of_http_accept_is_found_to_be_http(method: str, target: bytes) -> None:
    head = method.encode() + b" " + target + b" HTTP/1.1\r\nHost: api.test"
    try:
        read_head(head)
    except BadRequest:
        return
    assert kind_of(head) is Kind.HTTP


UPGRADE = GOOD[:-2] + b"Upgrade: %s\r\nConnection: upgrade\r\n\r\n"


@pytest.mark.parametrize("protocol", [b"h2c", b"h2c, websocket", b"TLS/1.0", b"HTTP/2.0", b"x"])
def test_a_protocol_that_can_name_other_hosts_is_never_switched_to(protocol: bytes) -> None:
    asked = UPGRADE % protocol
    inspected = inspection()
    assert inspected.feed(asked + b"PRI") == asked
    with pytest.raises(Disagreement, match="upgrade"):
        inspected.answered(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    inspected = inspection()
    inspected.feed(asked + GOOD)
    assert inspected.answered(b"HTTP/1.1 200 OK\r\n\r\n") == GOOD
    with pytest.raises(Disagreement):
        inspection().feed(GOOD + asked)  # whose answer is not seen


@pytest.mark.parametrize("size", [1, 5, 100])
def test_an_agreed_upgrade_is_seen_however_the_answer_comes(size: int) -> None:
    inspected = inspection()
    inspected.feed(UPGRADE % b"websocket" + b"\x81\x00")
    answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    passed = b""
    for at in range(0, len(answer), size):
        if inspected.waiting:
            passed += inspected.answered(answer[at : at + size])
    assert passed == b"\x81\x00"
    assert inspected.transparent


@pytest.mark.parametrize(
    "tail",
    [
        b"0\r\nHost: evil.test\r\n\r\n",
        b"0\r\ncontent-length: 5\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nA: b\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5;a=\n\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"10000000000000000\r\nhello",
    ],
)
def test_chunks_and_trailers_that_could_be_read_in_two_ways_are_refused(tail: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(Disagreement):
        inspection(80).feed(head + tail)


@pytest.mark.parametrize(
    "line",
    [
        b"Host: api.test\rHost: evil.test",
        b"X: a\0b",
        b"X: a\r b",
        b"\tX: a",
        b"X\0: a",
        b"X y: a",
        b": a",
        b"X",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity",
        b"Content-Length: +1",
        b"Content-Length: 0x1",
        b"Content-Length: 1 1",
        b"Content-Length: -1",
        b"Content-Length:",
        *[b"\r\n".join([b"A: b"] * 300)],
    ],
)
def test_header_fields_that_could_be_read_in_two_ways_are_refused(line: bytes) -> None:
    with pytest.raises(Disagreement):
        inspection(80).feed(b"GET / HTTP/1.1\r\nHost: api.test\r\n" + line + b"\r\n\r\n")


def test_text_without_an_end_of_line_goes_on_though_it_is_undecided() -> None:
    inspected = inspection()
    assert inspected.feed(b'{"id": 1}') == b'{"id": 1}'
    assert inspected.feed(b'{"id": 2}') == b'{"id": 2}'
    assert inspected.feed(b"\0") == b"\0"
    assert inspected.transparent


def test_a_single_zero_goes_on() -> None:
    assert inspection().feed(b"\0") == b"\0"
