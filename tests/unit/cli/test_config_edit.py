"""Changes of the file of contexts leave comments, order and quotes alone, and say what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.cli.fleet.config_edit import with_context, with_current, without_context
from clove.cli.fleet.config_file import Config, parse_config
from clove.errors import InvalidRequest

TEXT = """\
# my relays
current: prod   # the one that counts

contexts:
  # production
  prod:
    relay: "https://relay.example.org:8766"   # quoted
    token_command: pass show clove/prod # of pass
  m1:
    relay: https://other.example.org
    machine: m1

# the end
"""


def test_a_value_is_changed_in_its_line() -> None:
    text = with_context(TEXT, "prod", {"relay": "https://new.example.org"})
    assert text == TEXT.replace('"https://relay.example.org:8766"', "https://new.example.org")


def test_a_new_value_comes_after_the_others() -> None:
    text = with_context(TEXT, "prod", {"ca_file": "/etc/ca.pem"})
    line = "    token_command: pass show clove/prod # of pass\n"
    assert text == TEXT.replace(line, f"{line}    ca_file: /etc/ca.pem\n")


def test_a_value_is_taken_away_with_its_line() -> None:
    text = with_context(TEXT, "m1", {"machine": None})
    assert text == TEXT.replace("    machine: m1\n", "")


def test_a_context_is_added_and_removed_again() -> None:
    text = with_context(TEXT, "lab", {"relay": "http://127.0.0.1:1", "token": "x"})
    assert "    machine: m1\n  lab:\n    relay: http://127.0.0.1:1\n    token: x\n" in text
    assert without_context(text, "lab") == TEXT


def test_the_current_one_is_changed_taken_away_and_set_again() -> None:
    assert with_current(TEXT, "m1") == TEXT.replace("current: prod ", "current: m1 ")
    without = without_context(TEXT, "prod")
    assert parse_config(without).current == ""
    assert "# the end" in without
    assert parse_config(with_current(without, "m1")).current == "m1"


def test_a_file_that_is_not_in_lines_is_written_anew() -> None:
    text = 'current: a\ncontexts: {a: {relay: "http://127.0.0.1:1"}}\n'
    found = parse_config(with_context(text, "a", {"machine": "m1"}))
    assert found == Config("a", {"a": {"relay": "http://127.0.0.1:1", "machine": "m1"}})


def test_what_cannot_be_read_again_is_not_written() -> None:
    with pytest.raises(InvalidRequest):
        with_context(TEXT, "prod", {"token": "x", "token_file": "y"})
    with pytest.raises(InvalidRequest):
        with_current(TEXT, "none")
    with pytest.raises(InvalidRequest):
        with_context("nonsense: 1\n", "prod", {"relay": "http://127.0.0.1:1"})


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8).filter(
    lambda name: "/" not in name
)
VALUES = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1)


@given(
    name=NAMES,
    value=VALUES.filter(lambda value: value == value.strip() and value.isprintable()),
    base=st.sampled_from(["", "# only a comment\n", TEXT, TEXT.rstrip(), "contexts:\n"]),
)
def test_any_name_and_value_is_read_back_as_it_was(name: str, value: str, base: str) -> None:
    before = parse_config(base)
    values = {"relay": "http://127.0.0.1:1", "token_command": value}
    text = with_current(with_context(base, name, values), name)
    found = parse_config(text)
    assert found == Config(
        name, {**before.contexts, name: {**before.contexts.get(name, {}), **values}}
    )
    assert parse_config(without_context(text, name)).contexts == {
        each: fields for each, fields in before.contexts.items() if each != name
    }
