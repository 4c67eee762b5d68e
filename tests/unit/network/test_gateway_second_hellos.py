"""A second ClientHello, and what is sent before the server has answered the first."""

from __future__ import annotations

import ssl

import pytest

from clove.kernel.network.gateway.client_hello import RETRY, ServerAnswer, read_answer
from clove.kernel.network.gateway.inspection import Disagreement
from tests.unit.network.tls_records import (
    CCS,
    EARLY,
    GOES_ON,
    RETRIES,
    client_hello,
    hello,
    inspection,
    names,
    record,
    retried,
    server_hello,
    vector,
)


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
