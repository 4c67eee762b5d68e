"""Server-sent events are read line by line."""

from __future__ import annotations

import io

import pytest

from clove.client.server_events import events_of
from clove.errors import ConnectionLost


def read(text: bytes) -> list[tuple[str, int | None, dict[str, object]]]:
    return list(events_of(io.BytesIO(text).readline))


def test_events_have_a_kind_an_id_and_fields() -> None:
    text = b': hello\n\nid: 4\nevent: line\ndata: {"text": "a"}\n\n:\n\nevent: exit\r\ndata: {}\r\n\r\n'
    assert read(text) == [("line", 4, {"text": "a"}), ("exit", None, {})]


def test_what_is_cut_in_the_middle_is_left_out() -> None:
    assert read(b'event: line\ndata: {"text": "a"}\n') == []
    assert read(b"") == []


@pytest.mark.parametrize("data", [b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_what_makes_no_sense_is_an_error(data: bytes) -> None:
    with pytest.raises(ConnectionLost):
        read(b"event: line\ndata: " + data + b"\n\n")
