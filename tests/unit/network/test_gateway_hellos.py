"""TLS as a client may begin it: each ClientHello is judged, and nothing that could hide one passes."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.network.gateway.client_hello import BadHello, read_answer, read_hello, skip_others
from clove.kernel.network.gateway.inspection import Disagreement, Inspection
from clove.policy import parse
from tests.unit.network.tls_records import (
    CCS,
    EARLY,
    GOES_ON,
    client_hello,
    hello,
    inspection,
    names,
    record,
    retried,
    vector,
)


@pytest.mark.parametrize("kind", [20, 21, 23, 24])
def test_another_record_within_a_hello_is_refused(kind: int) -> None:
    whole = client_hello(names(b"api.test"))
    data = record(whole[:20]) + record(b"\1", kind) + record(whole[20:])
    with pytest.raises(Disagreement, match="cannot be read"):
        inspection().feed(data)


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
