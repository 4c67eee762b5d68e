"""`clove relay backup` and `restore`: what a relay keeps, while it runs, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import pytest
from click.testing import CliRunner, Result

from clove.cli.main import main
from tests.integration.relay.relay_process import RelayProcess, relay_process


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with relay_process(tmp_path_factory.mktemp("relay")) as running:
        for number in range(20):
            assert running.ask("POST", "/api/v1/machines", {"machine_id": f"m{number}"})[0] == 201
        yield running


def clove(*words: str) -> Result:
    return CliRunner().invoke(main, ["relay", *words])


@pytest.fixture(scope="module")
def state(relay: RelayProcess) -> str:
    return str(relay.directory / "state")


@pytest.fixture(scope="module")
def made(state: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup."""
    path = tmp_path_factory.mktemp("backup") / "relay.tar"
    result = clove("backup", "--state-dir", state, "--json", str(path))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["machines"] >= 20
    return path


def refused(*words: str) -> str:
    """What is said."""
    result = clove(*words)
    assert result.exit_code == 1, result.output
    return " ".join(result.output.split())


def test_a_backup_is_whole_though_the_relay_writes_meanwhile(
    relay: RelayProcess, state: str, tmp_path: Path
) -> None:
    over = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not over.is_set():
            name = f"w{len(written)}"
            assert relay.ask("POST", "/api/v1/machines", {"machine_id": name})[0] == 201
            written.append(name)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        counts = []
        for number in range(5):
            result = clove("backup", "--state-dir", state, "--json", str(tmp_path / f"{number}"))
            assert result.exit_code == 0, result.output
            counts.append(json.loads(result.stdout)["machines"])
    finally:
        over.set()
        thread.join()
    assert counts == sorted(counts)
    for number, count in enumerate(counts):
        result = clove(
            "restore", "--state-dir", str(tmp_path / f"s{number}"), str(tmp_path / f"{number}")
        )
        assert f"restored {count} machines" in result.output, result.output


def test_it_is_private_and_has_no_token(made: Path, relay: RelayProcess) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert os.listdir(made.parent) == [made.name]
    assert relay.admin.encode() not in made.read_bytes()
    with tarfile.open(made) as archive:
        assert archive.getnames() == ["manifest.json", "relay.id", "relay.sqlite"]


def test_a_relay_goes_on_from_it_under_the_id_that_machines_know(
    made: Path, relay: RelayProcess, tmp_path: Path
) -> None:
    result = clove("restore", "--state-dir", str(tmp_path / "state"), str(made))
    assert result.exit_code == 0, result.output
    assert "what was revoked after the backup is valid again" in result.output
    again = RelayProcess(tmp_path, "[rest]\nport = 0\n")
    again.start()
    try:
        machines = again.ask("GET", "/api/v1/machines", token=relay.admin)[1]["machines"]
        assert "m19" in {each["machine_id"] for each in machines}
    finally:
        again.stop()
    for name in ("relay.id", "relay.sqlite"):
        assert stat.S_IMODE((tmp_path / "state" / name).stat().st_mode) == 0o600
    ids = [
        (Path(where) / "relay.id").read_text()
        for where in (tmp_path / "state", relay.directory / "state")
    ]
    assert ids[0] == ids[1]


def test_nothing_is_restored_under_a_relay_that_runs(made: Path, state: str) -> None:
    said = refused("restore", "--state-dir", state, "--replace", str(made))
    assert f"another relay uses {state}" in said


def test_a_store_that_is_there_is_moved_aside_if_that_is_asked_for(
    made: Path, tmp_path: Path
) -> None:
    where = str(tmp_path / "state")
    assert clove("restore", "--state-dir", where, str(made)).exit_code == 0
    said = refused("restore", "--state-dir", where, str(made))
    assert "has a relay's store already - --replace moves it aside" in said
    result = clove("restore", "--state-dir", where, "--replace", "--json", str(made))
    aside = Path(json.loads(result.stdout)["aside"])
    assert aside.parent == Path(where)
    assert sorted(os.listdir(aside)) == ["relay.id", "relay.sqlite"]
    assert sorted(os.listdir(where)) == [aside.name, "relay.id", "relay.lock", "relay.sqlite"]


def test_no_file_is_written_over_and_no_store_is_no_backup(
    state: str, made: Path, tmp_path: Path
) -> None:
    before = made.read_bytes()
    assert "is there already" in refused("backup", "--state-dir", state, str(made))
    assert made.read_bytes() == before
    said = refused("backup", "--state-dir", str(tmp_path), str(tmp_path / "b"))
    assert f"there is no relay's store in {tmp_path}" in said
    assert os.listdir(tmp_path) == []


def test_a_backup_that_is_damaged_or_none_is_refused_and_leaves_nothing(
    made: Path, tmp_path: Path
) -> None:
    data = made.read_bytes()
    at = data.index(b"SQLite format 3") + 5000
    damaged = {
        "flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        "cut": data[: len(data) // 2],
        "empty": b"",
        "other": b"no archive" * 1000,
    }
    where = tmp_path / "state"
    for name, content in damaged.items():
        path = tmp_path / name
        path.write_bytes(content)
        said = refused("restore", "--state-dir", str(where), str(path))
        assert "damaged" in said or "no whole backup" in said, (name, said)
        assert os.listdir(where) == ["relay.lock"], name


Made = Callable[[str, bytes], tarfile.TarInfo]


def _sparse(name: str, data: bytes) -> tarfile.TarInfo:
    """It says that it is 1 TB of zeros."""
    member = _plain(name, data)
    sparse = {"major": "0", "minor": "1", "map": "0,0", "size": str(1 << 40), "name": name}
    member.pax_headers = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
    return member


def _negative(name: str, data: bytes) -> tarfile.TarInfo:
    """The library of this Python would read it again and again (CVE-2025-8194)."""
    member = _plain(name, b"")
    member.pax_headers = {"size": "-1536"}
    return member


def _link(name: str, data: bytes) -> tarfile.TarInfo:
    member = _plain(name, b"")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


def _plain(name: str, data: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member


TAMPERED: dict[str, tuple[Made, str, bytes]] = {
    "sparse": (_sparse, "relay.sqlite", b"x" * 512),
    "negative": (_negative, "more", b""),
    "link": (_link, "relay.id", b""),
    "more": (_plain, "more", b"x"),
    "id": (_plain, "relay.id", b"\xff\xfe"),
    "name": (_plain, "relay.id", b"../../x"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_backup_that_was_made_to_harm_is_refused_and_leaves_nothing(
    made: Path, tmp_path: Path, how: str
) -> None:
    make, name, data = TAMPERED[how]
    with tarfile.open(made) as archive:
        parts = {each.name: cast("IO[bytes]", archive.extractfile(each)).read() for each in archive}
    parts[name] = data
    manifest = json.loads(parts.pop("manifest.json"))
    manifest["members"] = {
        each: hashlib.sha256(parts[each]).hexdigest() for each in ("relay.sqlite", "relay.id")
    }
    path = tmp_path / "tampered"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        text = json.dumps(manifest).encode()
        archive.addfile(_plain("manifest.json", text), io.BytesIO(text))
        for each, content in parts.items():
            member = (make if each == name else _plain)(each, content)
            archive.addfile(member, io.BytesIO(content))
    where = tmp_path / "state"
    said = refused("restore", "--state-dir", str(where), str(path))
    assert "damaged" in said or "no whole backup" in said, said
    assert os.listdir(where) == ["relay.lock"]


def test_tables_of_a_newer_clove_are_refused(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / "newer"
    newer.mkdir(mode=0o700)
    (newer / "relay.id").write_text("0" * 32)
    with sqlite3.connect(Path(state) / "relay.sqlite") as source:
        source.execute("VACUUM INTO ?", (str(newer / "relay.sqlite"),))
    with sqlite3.connect(newer / "relay.sqlite") as connection:
        connection.execute("PRAGMA user_version = 1000")
    connection.close()
    source.close()
    assert clove("backup", "--state-dir", str(newer), str(tmp_path / "b")).exit_code == 0
    said = refused("restore", "--state-dir", str(tmp_path / "new"), str(tmp_path / "b"))
    assert "has version 1000 of the tables" in said
    assert "restore it with the newer Clove" in said


def test_status_finds_a_relay_that_runs_and_no_other(
    relay: RelayProcess, state: str, tmp_path: Path
) -> None:
    result = clove("status", "--state-dir", state)
    assert result.exit_code == 0
    assert f"REST and page   http://127.0.0.1:{relay.port}\n" in result.output
    result = clove("status", "--state-dir", str(tmp_path), "--json")
    assert (result.exit_code, json.loads(result.stdout)["running"]) == (1, False)


def test_a_relay_that_was_killed_does_not_run(tmp_path: Path) -> None:
    with relay_process(tmp_path) as relay:
        where = str(tmp_path / "state")
        relay.stop(signal.SIGKILL)
        assert clove("status", "--state-dir", where).exit_code == 1
        assert clove("down", "--state-dir", where).output == f"no relay serves from {where}\n"
        relay.start()
        assert clove("down", "--state-dir", where).output.endswith("has ended\n")
