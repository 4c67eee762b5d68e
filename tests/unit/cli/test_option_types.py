"""Values of options: directories, processors, variables, choices."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from clove.cli.option_types import (
    Choice,
    DirectoryGrant,
    parse_cpus,
    parse_directory,
    read_env_file,
    variable,
)


def test_a_directory_is_writable_unless_it_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path.resolve()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:ro").mkdir()
    (tmp_path / "link").symlink_to("a:ro")
    here = str(real)
    assert parse_directory(".") == DirectoryGrant(here, True)
    assert parse_directory(".:ro") == DirectoryGrant(here, False)
    assert parse_directory(f"{here}:rw") == DirectoryGrant(here, True)
    assert parse_directory("a:ro") == DirectoryGrant(f"{here}/a:ro", True)
    assert parse_directory("a:ro:ro") == DirectoryGrant(f"{here}/a:ro", False)
    assert parse_directory("link:ro") == DirectoryGrant(f"{here}/a:ro", False)
    assert parse_directory(".:/inside") == DirectoryGrant(here, True, "/inside")
    assert parse_directory(".:ro:/inside") == DirectoryGrant(here, False, "/inside")
    assert parse_directory(f".:{here}") == DirectoryGrant(here, True)


@pytest.mark.parametrize(
    "text", ["", "nowhere", "nowhere:ro", ".:r", ".:w", ".:/a:/b", ".:/a:ro", ".:ro:rw", ":ro"]
)
def test_what_is_no_directory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"there|current"):
        parse_directory(text)


def test_processors_are_a_number() -> None:
    assert [parse_cpus(one) for one in ("1", "0.5", "2.25")] == [100_000, 50_000, 225_000]
    for text in ("", "two", "0", "-1", "nan", "1e9", "0.001", "inf"):
        with pytest.raises(ValueError, match="processors"):
            parse_cpus(text)


def test_a_variable_has_a_value_or_that_of_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "x y")
    monkeypatch.delenv("THERE", raising=False)
    assert variable("A=b=c") == ("A", "b=c")
    assert variable("A=") == ("A", "")
    assert variable("HERE") == ("HERE", "x y")
    for text in ("=x", "THERE"):
        with pytest.raises(ValueError, match=r"name|not set"):
            variable(text)


def test_a_file_of_variables(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# keys\n\nA=b\nexport B = 'c d'\nC=\"#=\"\nD=\nE='\n")
    assert read_env_file(str(path)) == {"A": "b", "B": "c d", "C": "#=", "D": "", "E": "'"}


@pytest.mark.parametrize("line", ["secret", "=secret", "a b=secret"])
def test_a_bad_line_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "env"
    path.write_text(f"A=b\n{line}\n")
    with pytest.raises(ValueError, match="line 2") as refused:
        read_env_file(str(path))
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="No such file"):
        read_env_file(str(tmp_path / "nowhere"))


def test_a_misspelt_choice_is_refused_with_the_near_ones() -> None:
    with pytest.raises(click.BadParameter, match="did you mean standard"):
        Choice(("standard", "minimal")).convert("standrd", None, None)
