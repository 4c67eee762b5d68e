from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.cli.text import (
    age,
    clean,
    counted,
    default_name,
    duration,
    escaped,
    parse_duration,
    parse_size,
)
from clove.kernel.registry import check_name


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\x1b[2J\x1b[31mred", "[2J[31mred"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\x9b31m", "31m"),
        ("over\rwritten\b\b", "overwritten"),
        ("two\nlines", "twolines"),
        ("abc\u202etxt.exe\u2066", "abctxt.exe"),
        ("tab\tstays, so do ü and 漢字", "tab\tstays, so do ü and 漢字"),
        ("\x00\x7f\ud800", ""),
    ],
)
def test_what_a_terminal_might_obey_is_removed(hostile: str, harmless: str) -> None:
    assert clean(hostile) == harmless


@given(st.text())
def test_no_control_character_but_the_tab_is_left(text: str) -> None:
    assert not [c for c in clean(text) if unicodedata.category(c) in ("Cc", "Cs") and c != "\t"]
    assert clean(clean(text)) == clean(text)


@given(st.text(st.characters()))
def test_json_for_programs_has_nothing_that_a_terminal_obeys_and_says_the_same(text: str) -> None:
    line = escaped(json.dumps({"name": text}, ensure_ascii=False))
    assert clean(line) == line
    assert json.loads(line) == {"name": text}


def test_json_shows_letters_as_they_are() -> None:
    text = "ü 漢\x9b31m\u202e\x7f\ud800\U0001f600"
    line = escaped(json.dumps(text, ensure_ascii=False))
    assert line == '"ü 漢\\u009b31m\\u202e\\u007f\\ud800\U0001f600"'


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0s"),
        (59_999, "59s"),
        (200_000, "3m 20s"),
        (18_060_000, "5h 1m"),
        (187_200_000, "2d 4h"),
    ],
)
def test_an_age_has_two_units(milliseconds: int, words: str) -> None:
    assert age(milliseconds) == words


def test_sizes_have_binary_units() -> None:
    assert [parse_size(text) for text in ("0", "1k", "512M", "1.5G", "64KiB", "2 tb")] == [
        0,
        1 << 10,
        512 << 20,
        3 << 29,
        64 << 10,
        2 << 40,
    ]
    for wrong in ("", "M", "-1", "1e3", "12 parsecs", "0x10"):
        with pytest.raises(ValueError, match="not a size"):
            parse_size(wrong)


def test_durations_are_read_and_measured() -> None:
    assert parse_duration("90s") == parse_duration("1.5m") == timedelta(seconds=90)
    assert parse_duration("90") == timedelta(seconds=90)
    with pytest.raises(ValueError, match="not a time span"):
        parse_duration("soon")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert duration("2029-12-31T23:59:00+00:00", now) == timedelta(minutes=1)


@given(st.text())
def test_a_name_made_from_a_file_is_one_that_the_kernel_takes(stem: str) -> None:
    assert check_name(default_name(stem)) == default_name(stem)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 machines"), (1, "1 machine"), (2, "2 machines")]
)
def test_one_thing_is_counted_in_the_singular(number: int, text: str) -> None:
    assert counted(number, "machine") == text
