"""Records of other kinds than addresses: what of a name server's reply agents may have."""

from __future__ import annotations

import os
import struct

import pytest

from clove.kernel.network.gateway.dns import answer_records, read_question, wants_more
from clove.kernel.network.gateway.records import KINDS, Record, base_of, read_records

TXT, MX, SRV, SVCB, HTTPS, CNAME = 16, 15, 33, 64, 65, 5
NAME = b"\x03api\x04test\0"


def reply(*records: tuple[bytes, int, bytes], asked: bytes = NAME, kind: int = TXT) -> bytes:
    """A reply with records of owner, kind and data."""
    body = b"".join(
        owner + struct.pack("!HHIH", its_kind, 1, 300, len(data)) + data
        for owner, its_kind, data in records
    )
    head = struct.pack("!6H", 7, 0x8180, 1, len(records), 0, 0)
    return head + asked + struct.pack("!2H", kind, 1) + body


def parameter(key: int, value: bytes) -> bytes:
    return struct.pack("!HH", key, len(value)) + value


def data_of(message: bytes, kind: int) -> list[bytes]:
    return [record.data for record in read_records(message, kind)]


def test_records_of_the_name_and_kind_alone_are_taken() -> None:
    message = reply(
        (b"\xc0\x0c", TXT, b"\x02hi"),
        (b"\x03API\x04Test\0", TXT, b"\x03you"),
        (b"\x04evil\x04test\0", TXT, b"\x01x"),
        (b"\xc0\x0c", 1, b"\x7f\0\0\1"),
    )
    assert read_records(message, TXT) == [Record(300, b"\x02hi"), Record(300, b"\x03you")]


def test_a_chain_of_other_names_is_followed() -> None:
    message = reply(
        (b"\xc0\x0c", CNAME, b"\x05other\xc0\x10"),
        (b"\x05other\x04test\0", TXT, b"\x02hi"),
        (b"\x05third\x04test\0", TXT, b"\x02no"),
    )
    assert data_of(message, TXT) == [b"\x02hi"]


def test_names_in_records_are_written_without_pointers() -> None:
    mail = reply((b"\xc0\x0c", MX, b"\0\x0a\x04mail\xc0\x10"), kind=MX)
    assert data_of(mail, MX) == [b"\0\x0a\x04mail\x04test\0"]
    service = reply((b"\xc0\x0c", SRV, b"\0\1\0\2\x14\x66\x03srv\xc0\x10"), kind=SRV)
    assert data_of(service, SRV) == [b"\0\1\0\2\x14\x66\x03srv\x04test\0"]


def test_of_https_stays_what_leads_nowhere_else_and_hides_nothing() -> None:
    kept = parameter(1, b"\x02h2\x02h3\x05h3-29") + parameter(3, b"\x01\xbb")
    dropped = parameter(4, b"\x01\x02\x03\x04") + parameter(5, b"key") + parameter(6, bytes(16))
    message = reply((b"\xc0\x0c", HTTPS, b"\0\1\0" + kept + dropped), kind=HTTPS)
    assert data_of(message, HTTPS) == [
        b"\0\1\0" + parameter(1, b"\x02h2") + parameter(3, b"\x01\xbb")
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\x05other\x04test\0",  # an alias
        b"\0\1\x05other\x04test\0",  # another target
        b"\0\1\0" + parameter(0, b"\0\5") + parameter(5, b"key"),  # of no use without its keys
        b"\0\1\0" + parameter(1, b"\x02h3"),
        b"\0\1\0" + parameter(2, b""),
    ],
)
def test_https_that_would_lead_elsewhere_is_left_out(data: bytes) -> None:
    assert data_of(reply((b"\xc0\x0c", HTTPS, data), kind=HTTPS), HTTPS) == []
    assert data_of(reply((b"\xc0\x0c", SVCB, data), kind=SVCB), SVCB) == []


def test_malformed_replies_give_what_stands_before_and_end() -> None:
    first = (b"\xc0\x0c", TXT, b"\x02hi")
    loop = (b"\xc0\x0c", MX, b"\0\1\xc0\x0c")
    whole = reply(first, (b"\xc0\x30", TXT, b"\x02no"))
    assert data_of(whole, TXT) == [b"\x02hi"]
    for cut in range(len(whole)):
        assert data_of(whole[:cut], TXT) in ([], [b"\x02hi"])
    assert data_of(reply(loop, kind=MX), MX) == [b"\0\1\x03api\x04test\0"]
    itself = b"\xc0" + bytes([12 + len(NAME) + 4])
    assert data_of(reply((itself, TXT, b"\x02hi")), TXT) == []
    for seed in range(200):
        noise = os.urandom(seed)
        for kind in KINDS:
            read_records(whole[:12] + noise, kind)


@pytest.mark.parametrize(
    ("asked", "base"),
    [
        ("api.test", "api.test"),
        ("_sip._tcp.api.test", "api.test"),
        ("_8443._https.api.test", "api.test"),
        ("_a._b._c.api.test", "api.test"),
        ("_a._b._c._d.api.test", None),
        ("_.api.test", None),
        ("_a b.api.test", None),
        ("_tcp", None),
        ("x._tcp.api.test", "x._tcp.api.test"),
    ],
)
def test_a_service_is_judged_by_its_host(asked: str, base: str | None) -> None:
    assert base_of(asked) == base


def test_a_reply_that_is_too_long_says_so_and_has_no_records() -> None:
    query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + NAME + struct.pack("!2H", TXT, 1)
    question = read_question(query)
    records = [(5, b"\xff" + b"x" * 255)] * 2
    short = answer_records(question, records, 512)
    assert (short[2] & 2, struct.unpack_from("!H", short, 6)) == (2, (0,))
    whole = answer_records(question, records, 1232)
    assert data_of(whole, TXT) == [data for _, data in records]
    assert not wants_more(query)
    assert wants_more(query[:11] + b"\1" + query[12:])


def test_long_chains_of_pointers_cost_nothing() -> None:
    """Each record with a name of thousands of pointers: a hostile name server's answer."""
    start = 12 + len(NAME) + 4 + len(NAME) + 10
    hops = 2700
    chain = b"".join(
        struct.pack("!H", 0xC000 | (start + 2 * (hop - 1) if hop else 12)) for hop in range(hops)
    )
    last = struct.pack("!H", 0xC000 | (start + 2 * (hops - 1)))
    message = reply((NAME, 99, chain), *[(last, TXT, b"\x02hi")] * 64, (NAME, TXT, b"\x02no"))
    assert data_of(message, TXT) == []
    short = struct.pack("!H", 0xC000 | (start + 2 * 100))
    assert data_of(reply((NAME, 99, chain), (short, TXT, b"\x02hi")), TXT) == [b"\x02hi"]
