"""What the gateway lets pass is what other parsers read of it: h11 for HTTP, Twisted Names for DNS.

They are not used in the gateway itself, since they read what has more than one meaning
(docs/libraries.md); that is tried here too.
"""

from __future__ import annotations

import itertools
import struct
from typing import Any

import h11
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from twisted.names import dns

from clove.kernel.network.gateway.dns import NO_ERROR, A, BadQuery, answer, read_question
from clove.kernel.network.gateway.http_requests import BadRequest, Head, Requests

MOST = 4096

# HTTP

START = b"POST / HTTP/1.1\r\nHost: api.test\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
READ_BY_H11 = {
    "a bare LF": b"GET / HTTP/1.1\nHost: api.test\n\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: api.test\r\n .evil.test\r\n\r\n",
    "two lengths": START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length twice": START + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": START + b"Content-Length: 0, 0\r\n\r\n",
    "a length of 20 digits": START + b"Content-Length: 00000000000000000000\r\n\r\n",
    "chunks in HTTP/1.0": CHUNKED.replace(b"/1.1", b"/1.0") + b"0\r\n\r\n",
    "no Host": b"GET / HTTP/1.0\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: api.test\r\n\r\n",
    "a control character in Host": b"GET / HTTP/1.1\r\nHost: api.test\x01\r\n\r\n",
    "blanks behind a chunk's size": CHUNKED + b"0 \r\n\r\n",
    "any byte in a chunk's extension": CHUNKED + b"0;\0\xff\r\n\r\n",
    "a Host in the trailer": CHUNKED + b"0\r\nHost: evil.test\r\n\r\n",
}


class Judged:
    """What our judge has seen and let pass of a client's bytes, up to what it refuses."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        self.heads: list[Head] = []
        self.passed = b""
        self.refused = False
        self.requests = Requests(MOST, self.heads.append)
        places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        try:
            for begin, end in itertools.pairwise(places):
                self.passed += self.requests.feed(data[begin:end])
        except BadRequest:
            self.refused = True


def read_by_h11(data: bytes) -> list[tuple[str, str, str]]:
    """Method, target and host of each request, until the connection would end.

    @raise h11.RemoteProtocolError: it would not read them.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=2 * MOST)
    connection.receive_data(data)
    found = []
    while True:
        read: Any = connection.next_event()
        if isinstance(read, h11.Request):
            host = dict(read.headers).get(b"host", b"")
            found.append((read.method.decode(), read.target.decode(), host.decode("latin-1")))
        elif isinstance(read, h11.EndOfMessage):
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return found
            connection.start_next_cycle()
        elif not isinstance(read, h11.Data):
            return found


@pytest.mark.parametrize("data", READ_BY_H11.values(), ids=READ_BY_H11)
def test_what_h11_reads_and_others_could_read_otherwise_is_refused(data: bytes) -> None:
    assert len(read_by_h11(data)) == 1
    assert Judged(data, []).refused


FIELDS = st.sampled_from(
    [
        b"Host: api.test",
        b"host:evil.test",
        b"Host : evil.test",
        b"Content-Length: 3",
        b"content-length: 03",
        b"Content-Length: +3",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding : chunked",
        b"Connection: keep-alive",
        b"Upgrade: websocket",
        b"Upgrade: h2c",
        b"X: \t a b \xe9 ",
        b"X:",
        b" folded",
    ]
)
BODIES = st.sampled_from(
    [b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"3;a=b\r\nabc\r\n00\r\nX: y\r\n\r\n", b"0\r\n\r\n", b""]
)
LINES = st.sampled_from([b"\r\n"] * 60 + [b"\n", b"\r", b"\r\r\n", b"\n\r"])
EDITS = st.lists(
    st.tuples(st.integers(0), st.sampled_from(list(b"\r\n \t:;,0aG\0\x0b\xff"))), max_size=2
)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Requests one behind the other: many are as they should be, others nearly so."""
    data = b""
    for _ in range(draw(st.integers(1, 3))):
        line = draw(st.sampled_from([b"GET / HTTP/1.1", b"PUT /a?b HTTP/1.1", b"GET * HTTP/1.0"]))
        framing = draw(
            st.sampled_from(
                [
                    (b"Host: api.test", b""),
                    (b"Host: api.test\r\nContent-Length: 3", b"abc"),
                    (b"Host: api.test\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"),
                    None,
                ]
            )
        )
        if framing is None:
            fields, body = draw(st.lists(FIELDS, max_size=4)), draw(BODIES)
        else:
            fields, body = [framing[0], *draw(st.lists(FIELDS, max_size=1))], framing[1]
        data += b"".join(part + draw(LINES) for part in (line, *fields, b"")) + body
    for at, byte in draw(EDITS):
        at %= len(data)
        data = data[:at] + bytes([byte]) + data[at + draw(st.integers(0, 1)) :]
    return data


@given(conversations(), st.lists(st.integers(0), max_size=3))
def test_h11_reads_what_was_judged_of_all_that_passes(data: bytes, cuts: list[int]) -> None:
    judged = Judged(data, cuts)
    assert data.startswith(judged.passed)
    seen = [(head.method, head.target, head.host) for head in judged.heads]
    event(f"{len(seen)} heads, refused: {judged.refused}")
    if any(not head.target.isascii() or head.method == "CONNECT" for head in judged.heads):
        return  # h11 takes no such target; what follows a CONNECT is none of its business
    read = read_by_h11(judged.passed)
    # It may end a connection earlier (HTTP/1.0), and sees no head of which nothing has passed.
    assert read == seen[: len(read)]
    assert read or not judged.passed


# DNS


def query(*labels: bytes, kind: int = A, additional: bytes = b"") -> bytes:
    name = b"".join(bytes([len(label)]) + label for label in labels)
    head = struct.pack("!6H", 7, 0x100, 1, 0, 0, bool(additional))
    return head + name + b"\0" + struct.pack("!2H", kind, 1) + additional


def test_a_label_with_a_dot_which_twisted_takes_for_two_is_refused() -> None:
    message = dns.Message()
    message.fromStr(query(b"api.test"))
    assert message.queries[0].name.name == b"api.test"
    with pytest.raises(BadQuery):
        read_question(query(b"api.test"))


LABELS = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4)
EDNS = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


@given(
    LABELS,
    st.sampled_from([1, 5, 28, 65]),
    st.sampled_from([b"", EDNS]),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=2),
)
def test_twisted_names_reads_the_question_that_was_judged_and_the_answer(
    labels: list[bytes], kind: int, additional: bytes, edits: list[tuple[int, int]]
) -> None:
    asked = bytearray(query(*labels, kind=kind, additional=additional))
    for at, byte in edits:
        asked[at % len(asked)] = byte
    try:
        question = read_question(bytes(asked))
    except BadQuery:
        return
    message = dns.Message()
    message.fromStr(answer(question, NO_ERROR, "198.18.0.1", 5))
    [found] = message.queries
    assert (found.name.name, found.type) == (question.name.encode("latin-1"), question.kind)
    [record] = message.answers
    address: Any = record.payload
    assert record.name.name == found.name.name
    assert (address.dottedQuad(), record.ttl, message.id) == (
        "198.18.0.1",
        5,
        question.number,
    )
