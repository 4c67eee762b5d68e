"""What a configuration file may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clove.errors import InvalidRequest
from clove.kernel.config import RENAMED, Config, load
from clove.kernel.listening import check_path


def loaded(directory: str, text: str) -> Config:
    path = Path(directory, "c.toml")
    path.write_text(text)
    return load(str(path))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("nonsense = 1", "nonsense"),
        ("[limits.mail]\nmax_mesages = 1", "max_mesages"),
        ("threads = 0", r"\$\.threads"),
        ("[metrics]\nport = 70000", r"\$\.metrics\.port"),
        ("[limits.connection]\nmax_payload = 0", "limits.connection.max_payload"),
        ("[limits.agents]\nspawns_at_once = -3", "limits.agents.spawns_at_once"),
        ("[limits.agents]\nmemory = 99999999999999999", "limits.agents.memory"),
        ("[limits.agents]\ngrace = -1.0", "limits.agents.grace"),
        ("[limits.agents]\ngrace = nan", "limits.agents.grace"),
        ("[limits.agents]\nnice = 20", "limits.agents.nice"),
        ("[limits.connection]\nframe_timeout = 0.0", "limits.connection.frame_timeout"),
        ("[limits.audit]\nmax_entries = -1", "limits.audit.max_entries"),
        ('[access]\nuids = {"-1" = "standard"}', "access.uids"),
        ('[access]\nuids = {"7" = "nobody"}', "nobody"),
        ("x = = 1", "not TOML"),
        ("socket = 3", r"\$\.socket"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(short_dir: str, text: str, place: str) -> None:
    with pytest.raises(InvalidRequest, match=place):
        loaded(short_dir, text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[limits.connection]\nspinn = 1", "did you mean spin?"),
        ("compield = 'off'", "did you mean compiled?"),
        ("compiled = 'on'", "known are auto, off, required;"),
        ("[limits.connection]\nxyzzy = 1", "docs/configuration.md"),
    ],
)
def test_what_may_have_been_meant_is_named(short_dir: str, text: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(short_dir, text)
    assert str(caught.value.hint).startswith(hint)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[limits.attempts]\nat_once = 1", "limits.attempts is called limits.dry_run now"),
        ("limits.attempts = 0", "limits.attempts is called limits.dry_run now"),
        ("[limits.attempts]", "limits.attempts is called limits.dry_run now"),
        ("[nursery]\nenabled = false", "nursery is called zygote now"),
        ("[zygote]\nspares = 2", "zygote.spares is called zygote.prefork now"),
    ],
)
def test_an_earlier_name_of_a_key_is_refused_with_the_new_one(
    short_dir: str, text: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(said)):
        loaded(short_dir, text)


@pytest.mark.parametrize("earlier", RENAMED)
def test_every_new_name_is_a_key(earlier: str) -> None:
    found: object = Config()
    for part in RENAMED[earlier].split("."):
        found = getattr(found, part)


def test_what_only_looks_like_an_earlier_name_is_refused_as_what_it_is(short_dir: str) -> None:
    with pytest.raises(InvalidRequest, match=r"\$\.limits"):
        loaded(short_dir, "limits = 3")


def test_zero_is_fine_where_it_means_something(short_dir: str) -> None:
    text = "[limits.connection]\nidle_timeout = 0.0\n[limits.agents]\ngrace = 0.0\nended = 0\n"
    config = loaded(short_dir, text + '[access]\nuids = {"1000" = "readonly"}')
    assert config.limits.agents.ended == 0
    assert list(config.access.uids) == [1000]


def test_the_defaults_are_within_their_own_bounds(short_dir: str) -> None:
    assert loaded(short_dir, "") == load(None)


@pytest.mark.parametrize("path", ["missing", "."])
def test_a_file_that_cannot_be_read_is_refused(short_dir: str, path: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot read"):
        load(f"{short_dir}/{path}")


@pytest.mark.parametrize("path", ["", "\0abstract", "/" + "x" * 107])
def test_a_path_that_no_socket_can_have_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        check_path(path)


def test_a_socket_keeps_its_path_when_the_directory_changes() -> None:
    assert check_path("/" + "x" * 106) == "/" + "x" * 106
    assert check_path("s").startswith("/")
