"""Backups of what a relay keeps, and their way back. Blocking; for a process beside the relay.

A backup is a tar archive of what a relay cannot do without: its tokens (their hashes) and machines (their public
keys), and the id that kernels pin. No token is in it, nor a certificate or a configuration. Its members:

  - manifest.json: which Clove made it and when, the tables' version, SHA-256 of each other member
  - relay.sqlite: the embedded store; or database.dump: PostgreSQL's, as pg_dump has it
  - relay.id
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from clove._version import __version__
from clove.errors import AlreadyExists, InvalidRequest, NotFound, Unavailable
from clove.relay.backup.archive import (
    DUMP,
    FORMAT,
    RELAY_ID,
    SQLITE,
    Manifest,
    data_digest,
    file_digest,
    read_archive,
    write_archive,
)
from clove.relay.config import RelayConfig
from clove.relay.hub.relay_id import own_relay_id
from clove.relay.state_dir import RelayStateDir
from clove.relay.store.connection import SCHEMA

__all__ = ["Restored", "back_up", "restore"]


class Restored(NamedTuple):
    """What a restore has done.

    @ivar aside: directory with the earlier store; "" if there was none.
    """

    manifest: Manifest
    aside: str


def back_up(config: RelayConfig, state_dir: str, target: str) -> tuple[Manifest, str]:
    """Make a backup, while the relay runs or while it does not; gives its SHA-256 as well.

    @param state_dir: the relay's.
    @param target: a file that is not there yet; it gets the mode 0600.
    @raise NotFound: there is no store to back up.
    @raise AlreadyExists: the file is there.
    @raise Unavailable: it cannot be read or written.
    """
    if os.path.lexists(target):
        raise AlreadyExists(f"{target} is there already", hint="name another file")
    part = f"{os.path.abspath(target)}.{secrets.token_hex(4)}"
    try:
        with _removed(f"{part}.store") as copy, _removed(part):
            name, facts, relay_id = _copy(config, state_dir, copy)
            manifest = Manifest(
                format=FORMAT,
                clove=__version__,
                made=time.time(),
                store="sqlite" if name == SQLITE else "postgresql",
                members={name: file_digest(copy), RELAY_ID: data_digest(relay_id.encode())},
                **facts,
            )
            write_archive(part, manifest, copy, relay_id)
            digest = file_digest(part)
            os.link(part, target)  # never over another's
        _sync(os.path.dirname(os.path.abspath(target)))
    except FileExistsError:
        raise AlreadyExists(f"{target} is there already", hint="name another file") from None
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(
            f"no backup was made: {error}", hint="see the path, and its disk"
        ) from None
    return manifest, digest


def restore(config: RelayConfig, state_dir: str, source: str, *, replace: bool) -> Restored:
    """Make a state directory, or a database, what a backup says.

    @param replace: also where there is a store already, which is moved aside (PostgreSQL: dropped).
        What fails after that leaves it there.
    @raise Unavailable: a relay runs there, or a file cannot be read or written.
    @raise InvalidRequest: the backup is damaged, a newer Clove's, or of the other kind of store.
    @raise AlreadyExists: there is a store, and it is not to be replaced.
    """
    kind = "postgresql" if config.store.postgresql else "sqlite"
    directory = RelayStateDir(state_dir)
    directory.claim()
    try:
        with _removed(os.path.join(directory.path, f"restore-{secrets.token_hex(4)}")) as copy:
            manifest, relay_id = read_archive(source, kind, copy)
            if kind == "postgresql":
                from clove.relay.store import postgresql_schema
                from clove.relay.store.postgresql_dump import undump

                _check_schema(manifest, postgresql_schema.SCHEMA)
                undump(config.store.postgresql, copy, replace=replace)
                aside = ""
            else:
                _check_schema(manifest, SCHEMA)
                _check_store(copy, manifest)
                aside = _move_aside(directory, replace=replace)
                _write_relay_id(directory.path, relay_id)
                os.rename(copy, directory.store)
        _sync(directory.path)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise Unavailable(f"{source} is not restored: {error}", hint="see the path") from None
    finally:
        directory.release()
    return Restored(manifest, aside)


def _copy(config: RelayConfig, state_dir: str, target: str) -> tuple[str, dict[str, Any], str]:
    """Write what the store has into a file; gives its name in a backup, what is in it, and the relay's id."""
    if config.store.postgresql:
        from clove.relay.store.postgresql_dump import dump

        facts = dump(config.store.postgresql, target)
        return DUMP, facts, facts.pop("relay_id")
    store = os.path.join(state_dir, SQLITE)
    if not os.path.exists(store):
        raise NotFound(f"there is no relay's store in {state_dir}", hint="see --state-dir")
    return SQLITE, _copy_sqlite(store, target), own_relay_id(state_dir)


def _copy_sqlite(store: str, target: str) -> dict[str, Any]:
    """The store as it is at one moment, though a relay writes it meanwhile (sqlite.org/backup.html)."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        contextlib.closing(sqlite3.connect(store, timeout=30)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without -wal
        return _facts(copy)


def _facts(connection: sqlite3.Connection) -> dict[str, Any]:
    def number(statement: str) -> int:
        return int(connection.execute(statement).fetchone()[0])

    return {
        "schema": number("PRAGMA user_version"),
        "machines": number("SELECT count(*) FROM machines"),
        "tokens": number("SELECT count(*) FROM tokens"),
    }


def _check_schema(manifest: Manifest, known: int) -> None:
    """@raise InvalidRequest: its tables are a newer Clove's."""
    if manifest.schema > known:
        raise InvalidRequest(
            f"the backup has version {manifest.schema} of the tables (Clove {manifest.clove}), this "
            f"Clove knows {known}",
            hint="restore it with the newer Clove",
        )


def _check_store(path: str, manifest: Manifest) -> None:
    """@raise InvalidRequest: it is no whole store."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            whole = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
            found = _facts(connection)
        except sqlite3.Error:
            whole, found = False, {}
    if not whole or any(found[name] != getattr(manifest, name) for name in found):
        raise InvalidRequest("the store in the backup is damaged", hint="use another backup")


def _move_aside(directory: RelayStateDir, *, replace: bool) -> str:
    """Keep what is there; gives the directory that has it."""
    names = [SQLITE, f"{SQLITE}-wal", f"{SQLITE}-shm", RELAY_ID]
    there = [name for name in names if os.path.lexists(os.path.join(directory.path, name))]
    if not there:
        return ""
    if not replace:
        raise AlreadyExists(
            f"{directory.path} has a relay's store already",
            hint="--replace moves it aside, or choose another --state-dir",
        )
    aside = os.path.join(
        directory.path, time.strftime("before-restore-%Y%m%dT%H%M%S", time.gmtime())
    )
    os.mkdir(aside, 0o700)
    for name in there:
        os.rename(os.path.join(directory.path, name), os.path.join(aside, name))
    return aside


def _write_relay_id(directory: str, relay_id: str) -> None:
    new = os.path.join(directory, f"{RELAY_ID}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(relay_id)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, os.path.join(directory, RELAY_ID))


def _sync(directory: str) -> None:
    """Names in it are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _removed(path: str) -> Iterator[str]:
    """A file that is gone afterwards, if it was not moved."""
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
