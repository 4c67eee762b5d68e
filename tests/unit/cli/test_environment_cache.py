"""Environments in the cache: whole or not found, locked, sealed."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from clove.cli.environment_cache import EnvironmentCache, identity_of
from clove.cli.environment_uses import in_use
from clove.cli.sealing import seal
from clove.errors import InvalidRequest, PermissionDenied

KEY = "0123456789abcdef" * 2
PYTHON = os.path.realpath(sys.executable)


@pytest.fixture
def cache(tmp_path: Path) -> EnvironmentCache:
    found = EnvironmentCache({"XDG_CACHE_HOME": str(tmp_path)})
    found.prepare()
    return found


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """As a build leaves it."""
    path = tmp_path.resolve() / "built"
    (path / "bin").mkdir(parents=True)
    (path / "lib").mkdir()
    (path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return path


def complete(cache: EnvironmentCache, **more: Any) -> str:
    path = cache.begin(KEY)
    cache.complete(KEY, path, {"python": identity_of(PYTHON), "size": 1, **more})
    return path


def test_one_is_found_when_it_is_whole(cache: EnvironmentCache) -> None:
    path = cache.begin(KEY)
    assert cache.find(KEY) is None
    assert cache.left() == [path]
    cache.complete(KEY, path, {"python": identity_of(PYTHON)})
    found = cache.find(KEY)
    assert found is not None
    assert (found.path, found.stale) == (path, False)
    assert (cache.left(), [one.key for one in cache.entries()]) == ([], [KEY])
    other = cache.begin(KEY)
    assert cache.left() == [other]
    os.rmdir(path)
    assert cache.find(KEY) is None


@pytest.mark.parametrize(
    "directory", ["../other", "other", f"{KEY}-x/../../y", 5, None, f"{KEY}-file", f"{KEY}-link"]
)
def test_a_record_leads_nowhere_else(cache: EnvironmentCache, directory: object) -> None:
    (cache.directory / f"{KEY}-file").write_text("")
    (cache.directory / f"{KEY}-link").symlink_to("/")
    (cache.directory / f"{KEY}.json").write_text(json.dumps({"directory": directory}))
    assert cache.find(KEY) is None


def test_one_of_another_python_is_stale(cache: EnvironmentCache) -> None:
    complete(cache, python=[PYTHON, 1, 1])
    assert [one.stale for one in cache.entries()] == [True]
    complete(cache, python=["/none", 1, 1])
    assert [one.stale for one in cache.entries()] == [True]


def test_a_cache_that_others_can_use_is_refused(cache: EnvironmentCache) -> None:
    assert stat.S_IMODE(cache.directory.stat().st_mode) == 0o700
    cache.directory.chmod(0o750)
    with pytest.raises(PermissionDenied):
        cache.prepare()


def test_a_lock_is_not_one_that_was_removed(cache: EnvironmentCache) -> None:
    first, second = cache.lock(KEY), cache.lock(KEY)
    assert first.take(fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not second.take(fcntl.LOCK_SH | fcntl.LOCK_NB)
    first.remove()  # second has opened what is gone now
    first.close()
    assert second.take(fcntl.LOCK_SH | fcntl.LOCK_NB)
    third = cache.lock(KEY)
    assert not third.take(fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert third.take(fcntl.LOCK_SH | fcntl.LOCK_NB)
    for lock in (second, third):
        lock.close()


def test_kernels_that_are_gone_use_nothing(cache: EnvironmentCache, tmp_path: Path) -> None:
    path = complete(cache)
    for _ in range(2):
        cache.note_kernel(KEY, str(tmp_path / "gone"))
    assert cache.kernels(KEY) == [str(tmp_path / "gone")]
    assert not in_use(path, cache.kernels(KEY))
    cache.remove(KEY, path)
    assert os.listdir(cache.directory) == []


def test_what_is_sealed_is_ours_and_can_be_read(built: Path) -> None:
    script, closed = built / "bin/tool", built / "lib/closed"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o4711)
    closed.mkdir()
    (closed / "file").write_text("x")
    (closed / "file").chmod(0o600)
    closed.chmod(0o000)
    outside = built.parent / "outside"
    outside.write_text("mine")
    outside.chmod(0o600)
    (built / "lib/link").symlink_to(outside)
    contents = seal(str(built), PYTHON)
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert stat.S_IMODE((closed / "file").stat().st_mode) == 0o644
    assert stat.S_IMODE(closed.stat().st_mode) == 0o755
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    assert contents.files == 9


def test_what_a_kernel_reads_of_it_is_written_anew(built: Path) -> None:
    secret = built.parent / "secret"
    secret.write_text("secret")
    (built / "pyvenv.cfg").unlink()
    (built / "pyvenv.cfg").symlink_to(secret)
    (built / "bin/python").write_text("#!/bin/sh\n")
    (built / "bin/python3.99").symlink_to(secret)
    seal(str(built), PYTHON)
    assert (built / "pyvenv.cfg").read_text().splitlines()[0] == f"home = {os.path.dirname(PYTHON)}"
    assert secret.read_text() == "secret"
    links = {name: os.readlink(built / "bin" / name) for name in os.listdir(built / "bin")}
    assert links == {"python": PYTHON, "python3": "python", "python3.99": "python"}


def test_what_is_no_environment_is_refused(built: Path) -> None:
    os.mkfifo(built / "lib/fifo")
    with pytest.raises(InvalidRequest, match="fifo"):
        seal(str(built), PYTHON)
    (built / "bin/python").unlink()
    (built / "bin/python3").unlink()
    (built / "bin").rmdir()
    (built / "bin").symlink_to("/usr/bin")
    with pytest.raises(InvalidRequest, match="no virtual environment"):
        seal(str(built), PYTHON)


def deepen(path: Path, levels: int) -> None:
    """Directories within each other, deeper than any path can be."""
    held = os.open(path, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=held)
        inner = os.open("d", os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(held)


def test_what_is_too_deep_is_not_sealed_and_is_removed(
    cache: EnvironmentCache, built: Path
) -> None:
    deepen(built / "lib", 3000)
    with pytest.raises(InvalidRequest, match="deep"):
        seal(str(built), PYTHON)
    left = cache.directory / f"{KEY}-left"
    built.rename(left)
    cache.remove(KEY, str(left))
    assert not left.exists()
