"""Profiles: read, checked, and joined with a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clove.cli.option_types import DirectoryGrant
from clove.cli.profile_files import SHIPPED, known_profiles, load_profile, merged
from clove.cli.run import run
from clove.errors import CloveError, InvalidRequest, NotFound


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's directory of profiles; the current directory is beside it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    found = tmp_path / "config/clove/profiles"
    found.mkdir(parents=True)
    return found


def options(place: Path, text: str) -> dict[str, Any]:
    (place / "mine.toml").write_text(text)
    return dict(load_profile("mine", run).options)


def test_those_that_are_shipped_are_what_the_issue_names_and_right(place: Path) -> None:
    assert set(known_profiles()) == {"coding", "data", "web", "browser", "untrusted"}
    for name in known_profiles():
        assert load_profile(name, run).description


def test_the_users_own_hide_those_that_are_shipped(place: Path) -> None:
    (place / "web.toml").write_text('description = "mine"\n')
    assert load_profile("web", run).description == "mine"
    assert load_profile(str(SHIPPED / "web.toml"), run).description != "mine"


def test_values_are_those_of_the_options(place: Path) -> None:
    found = options(
        place,
        'dir = [".", "..:ro"]\nmemory = "1G"\ncpus = 0.5\npids = 9\ntimeout = "2m"\nnetwork = true\n'
        'level = "sandboxed"\ndeny = "**/.env"\n[env]\nA = "b"\nN = 1\n',
    )
    here = Path.cwd()
    assert found == {
        "dirs": (DirectoryGrant(str(here), True), DirectoryGrant(str(here.parent), False)),
        "memory": 1 << 30,
        "cpus": 50_000,
        "pids": 9,
        "timeout": 120.0,
        "network": True,
        "level": "sandboxed",
        "denied": ("**/.env",),
        "env": (("A", "b"), ("N", "1")),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memry = 1", "no option `memry`"),
        ('name = "x"', "no option `name`"),
        ("unsandboxed = true", "no option `unsandboxed`"),
        ('memory = "much"', "memory: .*not a size"),
        ('memory = ["1G"]', "one value"),
        ('network = "yes"', "true or false"),
        ("deny = [1, [2]]", "neither a text nor a number"),
        ('level = "standrd"', "did you mean standard"),
        ('dir = ["nowhere"]', "not there"),
        ("level = ", "Invalid value"),
    ],
)
def test_what_is_not_understood_is_refused(place: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        options(place, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('level = "readonly"\nallow-exec = ["ls"]', "starts no programs"),
        ('level = "minimal"\ndir = ["."]', "reads nothing"),
        ('level = "readonly"\ndir = ["."]', "needs :ro"),
        ('dir = ["."]\ndeny = ["."]', "leaves nothing"),
        ('dir = ["."]\ndeny = ["/"]', "leaves nothing"),
        ('allow-exec = ["ls"]\ndeny = ["ls"]', "both"),
        ('network = true\nallow-domain = ["a.example"]', "adds nothing"),
        ('allow-degraded = true\ndegrade = ["limits"]', "adds nothing"),
        ('dir = [".", ".:ro"]', "twice"),
        ('deny = ["git push", "git push"]', "twice"),
    ],
)
def test_a_rule_that_can_take_no_effect_is_an_error(place: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        options(place, text)


def test_one_that_is_not_there_is_told_with_the_near_name(place: Path) -> None:
    with pytest.raises(NotFound) as missing:
        load_profile("codng", run)
    assert "coding" in missing.value.hint
    for name in ("./none.toml", "none.toml"):
        with pytest.raises(CloveError, match="No such file"):
            load_profile(name, run)


def test_the_command_line_wins_and_lists_are_joined() -> None:
    mine, theirs = DirectoryGrant("/a", False), DirectoryGrant("/a", True)
    other = DirectoryGrant("/b", True)
    profile = {
        "memory": 1,
        "pids": 2,
        "network": True,
        "dirs": (theirs, other),
        "denied": ("x", "y"),
        "env": (("A", "profile"),),
    }
    asked = {
        "memory": 5,
        "pids": None,
        "network": False,
        "dirs": (mine,),
        "denied": ("y",),
        "env": (("A", "line"),),
    }
    assert merged(profile, asked) == {
        "memory": 5,
        "pids": 2,
        "network": True,
        "dirs": (mine, other),
        "denied": ("y", "x"),
        "env": (("A", "profile"), ("A", "line")),
    }
