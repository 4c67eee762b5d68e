"""Pages of names: each name is on one of them, whatever it looks like."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.files.listing import Name, page


def named(*raw: bytes) -> list[Name]:
    texts = [(each.decode("utf-8", "backslashreplace"), os.fsdecode(each)) for each in raw]
    return sorted(Name(text, name, "file") for text, name in texts)


def all_pages(names: list[Name], limit: int) -> list[Name]:
    found: list[Name] = []
    after = ""
    while True:
        part = page(names, after, limit)
        assert 0 < len(part.names) <= limit
        found += part.names
        if not part.more:
            return found
        assert part.next != after
        after = part.next


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_names_that_look_the_same_are_all_given(limit: int) -> None:
    names = named(b"a", b"\\xff", b"\xff", b"\xff\\xff", b"\\xff\xff", b"\xff\xff", b"z")
    assert all_pages(names, limit) == names


@given(
    st.lists(st.text(r"\xf" + "\udcff", min_size=1, max_size=6), min_size=1, unique=True),
    st.integers(1, 4),
)
def test_any_names_in_any_pages(raw: list[str], limit: int) -> None:
    names = named(*(os.fsencode(each) for each in raw))
    assert all_pages(names, limit) == names


def test_a_place_that_is_no_more_is_where_the_names_go_on() -> None:
    names = named(b"a", b"b", b"c")
    assert [one.text for one in page(names, "aa", 1).names] == ["b"]
    assert [one.text for one in page(names, "b\0" + "9", 2).names] == ["c"]
    assert page(names, "b\0" + "x", 2).names == page(names, "b", 2).names
    assert page(names, "z", 2) == ([], False, "z")
