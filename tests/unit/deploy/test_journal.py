"""The journal of a deployment: locked, whole, private, and without secrets."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import msgspec
import pytest

from clove.client.fleet import FleetClient
from clove.deploy.journal import Journal, check_name, deployments, read, with_hub
from clove.deploy.kinds import Place, make_target
from clove.deploy.relay import Relay
from clove.errors import (
    AlreadyExists,
    CloveError,
    Internal,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from tests.unit.deploy.directory_target import record


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        assert journal.record is None
        journal.write(record(count=2))
        journal.note("one", "begun", {})
        journal.note("one", "done", {"address": "192.0.2.7"})
        written = journal.record
    assert read("d", tmp_path) == written
    assert read("d", tmp_path).facts == {"address": "192.0.2.7"}
    assert deployments(tmp_path) == ["d"]


def test_it_is_private(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path / "x") as journal:
        journal.write(record())
        paths = [tmp_path / "x", journal.directory, *journal.directory.iterdir()]
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_one_command_at_a_time_has_it(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
        with (
            pytest.raises(AlreadyExists, match=f"works on d: process {os.getpid()}"),
            Journal.locked("d", tmp_path),
        ):
            pass
        with Journal.locked("other", tmp_path):
            pass
    with Journal.locked("d", tmp_path) as journal:
        assert journal.record is not None


def test_a_lock_without_a_journal_leaves_nothing(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_removed_takes_the_targets_files_with_it(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
        (journal.directory / "modules").mkdir()
        (journal.directory / "modules" / "main.tf").write_text("")
        (journal.directory / "terraform.tfstate").write_text("")
        journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_token_is_not_written(tmp_path: Path) -> None:
    secret = "clove_join_0123456789012345678901234567890123456789012_012345"
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
        with pytest.raises(Internal):
            journal.note("one", "done", {"address": f"x {secret}"})
        assert secret not in "".join(path.read_text() for path in journal.directory.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2, "something": "new"}', "newer Clove"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "name": ', "damaged"),
        ("[" * 100000, "damaged"),
        ('"format"', "damaged"),
        ("\xff", "damaged"),
    ],
)
def test_one_that_cannot_be_read_is_refused_and_stays(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / "journal.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidRequest, match=said), Journal.locked("d", tmp_path):
        pass
    with pytest.raises(InvalidRequest, match=said):
        read("d", tmp_path)
    assert path.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"machines": "d"}, "machines"),
        ({"machines": [7]}, "machines"),
        ({"instances": ["i-1"]}, "instances"),
        ({"versions": {"d": 1}}, "versions"),
        ({"sha256": 7}, "sha256"),
        ({"staging": None}, "staging"),
        ({"image": []}, "image"),
    ],
)
def test_facts_that_a_person_has_changed_to_another_type_are_refused(
    tmp_path: Path, facts: dict[str, object], said: str
) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
        journal.note("apply", "done", facts)
    with pytest.raises(InvalidRequest, match=f"facts of apply.*{said}"):
        read("d", tmp_path)


def test_a_fact_that_was_taken_away_is_said_to_be_missing(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
        journal.note("host", "done", {"prefix": "/opt/clove"})
    facts = read("d", tmp_path).facts
    assert facts["prefix"] == "/opt/clove"
    assert facts.get("staging") is None
    with pytest.raises(InvalidRequest, match="journal of d does not say 'staging'"):
        facts["staging"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("clove deploy ssh ann@d", "clove deploy ssh ann@d --hub wss://b"),
        ("clove deploy ssh --hub wss://a ann@d", "clove deploy ssh ann@d --hub wss://b"),
        ("clove deploy ssh --hub=wss://a ann@d", "clove deploy ssh ann@d --hub wss://b"),
        ("clove deploy ssh 'a b' --hub wss://a", "clove deploy ssh 'a b' --hub wss://b"),
    ],
)
def test_another_hub_is_in_the_options_and_the_command_that_goes_on(
    before: str, after: str
) -> None:
    old = msgspec.structs.replace(record(hub="wss://a", port=22), command=before)
    new = with_hub(old, "wss://b")
    assert (new.options, new.command) == ({"hub": "wss://b", "port": 22}, after)


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
    path = tmp_path / "d" / "journal.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra": 1}))
    with pytest.raises(InvalidRequest, match="extra"):
        read("d", tmp_path)


def test_an_unknown_deployment_is_told_with_the_near_one(tmp_path: Path) -> None:
    with Journal.locked("build-7", tmp_path) as journal:
        journal.write(record("build-7"))
    with pytest.raises(NotFound) as missing:
        read("build-8", tmp_path)
    assert missing.value.hint == "did you mean build-7?"


@pytest.mark.parametrize("name", ["", "-x", "../up", "a/b", ".hidden", "a b", "a" * 64, "é"])
def test_a_name_that_could_not_be_one_everywhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="name"):
        check_name(name)


def test_a_state_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(Unavailable, match="cannot use"),
        Journal.locked("d", tmp_path / "file"),
    ):
        pass


def test_one_too_large_to_be_read_again_is_not_written(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
        with pytest.raises(Unavailable, match="may have 1048576"):
            journal.note("one", "done", {"os": "x" * (1 << 20)})
    assert read("d", tmp_path).steps == []


def test_a_copy_of_another_deployments_is_refused(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
    shutil.copytree(tmp_path / "d", tmp_path / "other")
    with pytest.raises(InvalidRequest, match="it is that of d"):
        read("other", tmp_path)


@pytest.mark.parametrize("which", [".", "d"])
def test_a_directory_that_others_may_write_is_not_used(tmp_path: Path, which: str) -> None:
    where = tmp_path / "deployments"
    (where / "d").mkdir(parents=True)
    (where / which).chmod(0o777)
    with pytest.raises(PermissionDenied, match="others may write"), Journal.locked("d", where):
        pass
    assert list((where / "d").iterdir()) == []


def test_a_link_in_place_of_a_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "d").symlink_to("elsewhere")
    with pytest.raises(CloveError, match=r"neither|cannot use"), Journal.locked("d", tmp_path):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_in_place_of_the_lock_does_not_empty_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "d/lock").symlink_to(tmp_path / "precious")
    with pytest.raises(Unavailable, match="cannot use"), Journal.locked("d", tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_journal_that_others_may_write_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
    path = tmp_path / "d/journal.json"
    path.chmod(0o666)
    with pytest.raises(PermissionDenied, match="others may write"):
        read("d", tmp_path)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(PermissionDenied, match="neither a directory nor a file"):
        read("d", tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another")
def test_another_users_directory_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o755)
    os.chown(tmp_path / "d", 12345, 12345)
    with pytest.raises(PermissionDenied, match="id 12345"), Journal.locked("d", tmp_path):
        pass


def not_asked() -> FleetClient:
    raise AssertionError


def test_options_that_a_target_does_not_know_are_one_clear_error(tmp_path: Path) -> None:
    relay = Relay("http://127.0.0.1:8766", "ws://127.0.0.1:8765", not_asked)
    place = Place("d", tmp_path, relay, {})
    for options in ({}, {"host": 7, "port": 0, "identity": "", "bundle": "", "user_units": False}):
        with pytest.raises(InvalidRequest, match="does not have the options of ssh"):
            make_target("ssh", place, options)
