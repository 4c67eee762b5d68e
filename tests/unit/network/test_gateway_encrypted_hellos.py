"""Encrypted ClientHellos, and the decoys that browsers send: the name outside of them must agree."""

from __future__ import annotations

import pytest

from clove.kernel.network.gateway.inspection import Disagreement
from tests.unit.network.tls_records import (
    CCS,
    GOES_ON,
    RETRIES,
    client_hello,
    encrypted,
    inspection,
    names,
    record,
    retried,
    vector,
)

NAMED = names(b"api.test")


@pytest.mark.parametrize("port", [80, 443, 8443])
@pytest.mark.parametrize("extensions", [NAMED + encrypted(), encrypted() + NAMED])
def test_one_passes_beside_the_name_that_was_connected_to(port: int, extensions: bytes) -> None:
    data = record(client_hello(extensions))
    inspected = inspection(port)
    assert b"".join(inspected.feed(data[at : at + 1]) for at in range(len(data))) == data
    assert inspected.waiting
    inspected.answered(GOES_ON)
    assert inspected.transparent


@pytest.mark.parametrize("port", [80, 443, 8443])
@pytest.mark.parametrize(
    ("extensions", "words"),
    [
        (names(b"evil.test") + encrypted(), r"evil\.test"),
        (encrypted(), "without a name outside"),
        (names(b"cdn.test") + encrypted(), r"cdn\.test"),
        (NAMED + encrypted() + encrypted(), "twice"),
        (NAMED + names(b"evil.test") + encrypted(), "twice"),
    ],
)
def test_one_beside_another_name_or_none_is_refused(
    port: int, extensions: bytes, words: str
) -> None:
    with pytest.raises(Disagreement, match=words):
        inspection(port).feed(record(client_hello(extensions)))


@pytest.mark.parametrize(
    "extension",
    [
        encrypted(kind=1),
        encrypted(kind=2),
        encrypted(b""),
        b"\xfe\x0d" + vector(2, b""),
        b"\xfe\x0d" + vector(2, b"\0"),
        b"\xfe\x0d" + vector(2, b"\1"),
        b"\xfe\x0d" + vector(2, encrypted()[4:-1]),
        b"\xfe\x0d" + vector(2, encrypted()[4:] + b"x"),
        *(encrypted(code=code) for code in (0xFE08, 0xFE09, 0xFE0A, 0xFE0B, 0xFE0C)),
        *(encrypted(code=code) for code in (0xFF02, 0xFF03, 0xFFCE)),
    ],
)
def test_other_forms_and_drafts_are_refused(extension: bytes) -> None:
    with pytest.raises(Disagreement, match="cannot be read"):
        inspection(443).feed(record(client_hello(NAMED + extension)))


@pytest.mark.parametrize("key", [b"", bytes(32)])
def test_in_a_second_hello_the_name_outside_must_agree_again(key: bytes) -> None:
    """Its key is empty where it is real, and what the first one had where it is a decoy."""
    data = record(client_hello(NAMED + encrypted(key=key)))
    inspected = retried()
    assert inspected.feed(CCS + data) == CCS + data
    inspected.answered(GOES_ON)
    assert inspected.transparent
    for other, words in ((names(b"evil.test"), "evil"), (b"", "without a name outside")):
        with pytest.raises(Disagreement, match=words):
            retried().feed(CCS + record(client_hello(other + encrypted(key=key))))


def test_two_hellos_each_with_an_encrypted_one_are_both_judged() -> None:
    first = record(client_hello(NAMED + encrypted()))
    inspected = inspection(443)
    assert inspected.feed(first) == first
    inspected.answered(RETRIES)
    with pytest.raises(Disagreement, match="evil"):
        inspected.feed(record(client_hello(names(b"evil.test") + encrypted(key=b""))))
