"""TLS as a client may begin it: each ClientHello is judged, and nothing that could hide one passes."""

from __future__ import annotations

import contextlib
import itertools
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.gateway.client_hello import (
    RETRY,
    BadHello,
    ServerAnswer,
    read_answer,
    read_hello,
    skip_others,
)
from clove.kernel.gateway.inspection import Disagreement, Inspection
from clove.policy import parse

RULES = parse(None, {"can_http": True, "allowed_domains": ["api.test", "api.test:8443"]})


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def record(data: bytes, kind: int = 22) -> bytes:
    return bytes((kind, 3, 3)) + vector(2, data)


def names(*listed: bytes, kind: int = 0) -> bytes:
    """A server_name extension."""
    entries = b"".join(bytes((kind,)) + vector(2, name) for name in listed)
    return b"\0\0" + vector(2, vector(2, entries))


def client_hello(extensions: bytes) -> bytes:
    body = b"\3\3" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0")
    return b"\1" + vector(3, body + vector(2, extensions))


def hello(name: bytes = b"api.test") -> bytes:
    return record(client_hello(names(name)))


def server_hello(random: bytes = bytes(32)) -> bytes:
    return b"\2" + vector(3, b"\3\3" + random + vector(1, b"") + b"\x13\x01\0" + vector(2, b""))


RETRIES = record(server_hello(RETRY))
GOES_ON = record(server_hello())
CCS = record(b"\1", 20)
EARLY = record(b"early data", 23)


def inspection(port: int = 8443, most: int = 4096) -> Inspection:
    return Inspection("api.test", port, RULES, most)


def retried() -> Inspection:
    """A client that was asked for a second ClientHello."""
    inspected = inspection()
    assert inspected.feed(hello()) == hello()
    assert inspected.waiting
    assert inspected.answered(RETRIES) == b""
    assert not inspected.waiting
    assert not inspected.transparent
    return inspected


@pytest.mark.parametrize("between", [b"", CCS, CCS + EARLY, EARLY * 3 + CCS])
def test_a_second_hello_is_judged(between: bytes) -> None:
    inspected = retried()
    assert inspected.feed(between + hello()) == between + hello()
    assert inspected.waiting
    assert inspected.answered(CCS + GOES_ON) == b""
    assert inspected.transparent
    with pytest.raises(Disagreement, match=r"evil\.test"):
        retried().feed(between + hello(b"evil.test"))


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_second_hello_in_pieces_is_judged(size: int) -> None:
    data = CCS + hello(b"evil.test")
    inspected = retried()
    passed: list[bytes] = []

    def send() -> None:
        for at in range(0, len(data), size):
            passed.append(inspected.feed(data[at : at + size]))

    with pytest.raises(Disagreement):
        send()
    assert b"".join(passed) == CCS


def test_a_second_hello_without_a_name_is_refused_on_port_443() -> None:
    inspected = inspection(443)
    inspected.feed(hello())
    inspected.answered(RETRIES)
    with pytest.raises(Disagreement, match="without a server name"):
        inspected.feed(record(client_hello(b"\0\x17\0\0")))


def test_what_is_sent_behind_a_hello_waits_for_the_servers_answer() -> None:
    """Early data passes when the server goes on; a second hello before it is asked for, never."""
    inspected = inspection()
    assert inspected.feed(hello() + CCS + EARLY) == hello()
    assert inspected.answered(GOES_ON) == CCS + EARLY
    inspected = inspection()
    assert inspected.feed(hello() + hello(b"evil.test")) == hello()
    with pytest.raises(Disagreement):
        inspected.answered(RETRIES)


def test_a_second_hello_in_the_record_of_the_first_is_refused() -> None:
    both = client_hello(names(b"api.test")) + client_hello(names(b"evil.test"))
    with pytest.raises(Disagreement, match="behind"):
        inspection().feed(record(both))
    cut = client_hello(names(b"api.test")) + client_hello(names(b"evil.test"))[:9]
    with pytest.raises(Disagreement, match="behind"):
        inspection().feed(record(cut))


@pytest.mark.parametrize("kind", [20, 21, 23, 24])
def test_another_record_within_a_hello_is_refused(kind: int) -> None:
    whole = client_hello(names(b"api.test"))
    data = record(whole[:20]) + record(b"\1", kind) + record(whole[20:])
    with pytest.raises(Disagreement, match="cannot be read"):
        inspection().feed(data)


@pytest.mark.parametrize("first", [b"", record(b"\1\x70", 21), CCS, record(b"\1\x70", 21) * 5])
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_the_servers_answer_is_read_however_it_comes(first: bytes, size: int) -> None:
    for message, expected in ((RETRY, ServerAnswer.RETRY), (bytes(32), ServerAnswer.HELLO)):
        whole = server_hello(message)
        data = first + record(whole[:7]) + record(whole[7:30]) + record(whole[30:])
        inspected = inspection()
        inspected.feed(hello())
        for at in range(0, len(data), size):
            if inspected.waiting:
                inspected.answered(data[at : at + size])
        assert read_answer(data) is expected
        assert inspected.transparent is (expected is ServerAnswer.HELLO)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x02\0\0\0", b"\0"])
def test_to_a_server_that_answers_otherwise_nothing_more_passes(answer: bytes) -> None:
    inspected = inspection()
    inspected.feed(hello())
    assert inspected.answered(answer) == b""
    with pytest.raises(Disagreement, match="does not answer"):
        inspected.feed(hello())


def test_an_answer_without_an_end_is_none() -> None:
    inspected = inspection(most=100)
    inspected.feed(hello())
    inspected.answered(record(b"\1\x70", 21) * 30)
    assert not inspected.waiting
    with pytest.raises(Disagreement):
        inspected.feed(b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",  # SSL 2's form of a ClientHello
        b"\x80\x2e\x01\x00\x02",
        CCS + hello(),
        record(b"\1\0", 21) + hello(),
        EARLY,
        record(b"\1\0\0\0", 24),
        b"\x16\x02\0\0\5hello",
        b"\x16\x03\3\0\0" + hello(),
        record(b"\2" + bytes(50)),
    ],
)
@pytest.mark.parametrize("port", [443, 8443])
def test_what_some_server_could_take_for_tls_is_held_to_its_rules(data: bytes, port: int) -> None:
    with pytest.raises(Disagreement):
        inspection(port).feed(data)


@pytest.mark.parametrize(
    "name",
    [
        b"evil.test",
        b"api.test\0.evil.test",
        b"api.test\0",
        b"127.0.0.1",
        "\u00e4pi.test".encode(),
        "\uff41pi.test".encode(),
        b"\xe5pi.test",
        b"api.test ",
        b"api.test:8443",
        b"x@api.test",
        b".api.test",
        b"api.test..",
        b"*.test",
        b"a" * 300,
    ],
)
def test_names_that_are_not_the_hosts_are_refused(name: bytes) -> None:
    with pytest.raises(Disagreement):
        inspection().feed(hello(name))


@pytest.mark.parametrize("name", [b"api.test", b"API.Test", b"api.test."])
def test_the_hosts_own_name_passes_as_it_is_written(name: bytes) -> None:
    assert inspection().feed(hello(name)) == hello(name)


def test_no_name_is_mapped() -> None:
    """What other letters stand for is a matter of tables, and the server's may differ."""
    rules = parse(None, {"can_http": True, "allowed_domains": ["stra\u00dfe.test"]})
    for port, data in (
        (443, hello("stra\u00dfe.test".encode())),
        (443, hello(b"stra\xdfe.test")),
        (80, "GET / HTTP/1.1\r\nHost: stra\u00dfe.test\r\n\r\n".encode()),
        (80, b"GET / HTTP/1.1\r\nHost: stra\xdfe.test\r\n\r\n"),
        (80, b"GET http://stra\xdfe.test/ HTTP/1.1\r\nHost: xn--strae-oqa.test\r\n\r\n"),
    ):
        with pytest.raises(Disagreement):
            Inspection("xn--strae-oqa.test", port, rules, 4096).feed(data)


@pytest.mark.parametrize(
    "extensions",
    [
        names(b"api.test", b"evil.test"),
        names(b"api.test") + names(b"evil.test"),
        names(b"api.test", kind=1),
        names(b""),
        names(),
        names(b"api.test") + b"\xfe\x0d" + vector(2, b"\0"),
        names(b"api.test") + b"\xff\xce" + vector(2, b"\0"),
        names(b"api.test") + b"\xfe\x0a" + vector(2, b"\0"),
        b"\0\0" + vector(2, vector(2, b"\0" + vector(2, b"api.test")) + b"x"),
        names(b"api.test") + b"\0",
    ],
)
def test_names_that_could_be_read_in_two_ways_are_refused(extensions: bytes) -> None:
    with pytest.raises(Disagreement):
        inspection().feed(record(client_hello(extensions)))


def test_records_that_none_could_be_are_no_early_data() -> None:
    for data in (b"\x17\x02\0\0\1x", b"\x19\x03\x03\0\1x", b"\x17\x03\x03\xff\xff"):
        with pytest.raises(BadHello):
            skip_others(data)
    assert skip_others(CCS + EARLY[:-1]) == len(CCS)
    with pytest.raises(Disagreement):
        retried().feed(b"GET / HTTP/1.1\r\n")


@given(st.binary(max_size=200), st.integers(0, 3))
def test_no_bytes_break_the_readers(data: bytes, kind: int) -> None:
    data = [b"", hello()[:40], GOES_ON[:20], CCS][kind] + data
    for read in (read_hello, skip_others):
        with contextlib.suppress(BadHello):
            read(data)
    read_answer(data)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=10), st.binary(min_size=1, max_size=3))
def test_a_hello_cut_anywhere_is_judged_alike(cuts: list[int], extra: bytes) -> None:
    data = hello() + extra
    inspected = inspection()
    passed = b""
    at = 0
    for size in itertools.cycle(cuts):
        if inspected.waiting:
            break
        passed += inspected.feed(data[at : at + size])
        at += size
    assert passed == hello()


def test_a_real_handshake_with_a_second_hello_passes() -> None:
    """Python's own TLS on both sides, with no group in common at first."""
    client_side = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(incoming, outgoing, server_hostname="api.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    inspected = inspection()
    first = outgoing.read()
    assert inspected.feed(first) == first
    session = first[44 : 44 + first[43]]
    retry = b"\3\3" + RETRY + vector(1, session) + b"\x13\x02\0"
    retry += vector(2, b"\0\x2b\0\2\3\4" + b"\0\x33\0\2\0\x18")  # TLS 1.3, secp384r1
    answer = record(b"\2" + vector(3, retry))
    assert inspected.answered(answer) == b""
    incoming.write(answer)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    second = outgoing.read()
    assert b"api.test" in second
    assert inspected.feed(second) == second
    assert inspected.waiting
    with pytest.raises(Disagreement):
        retried().feed(second.replace(b"api.test", b"api.evil"))
