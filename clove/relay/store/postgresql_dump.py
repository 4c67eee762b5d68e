"""A PostgreSQL store into a file and back, by PostgreSQL's own programs. Blocking.

The password, if the connection string has one, is handed to them in a file that is gone afterwards.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any, Final, LiteralString

import psycopg
from psycopg import conninfo

from clove.errors import AlreadyExists, InvalidRequest, Unavailable
from clove.relay.store.postgresql_connection import checked, connect

__all__ = ["dump", "undump"]

PATIENCE: Final = 3600
"""Seconds for a whole database."""
ANSWER: Final = 30.0
"""Seconds for one question."""
LAST: Final = 500
"""Characters of what a program says that are shown."""
_FACTS: Final = """
    SELECT (SELECT max(version) FROM clove_version) AS schema,
        (SELECT count(*) FROM machines) AS machines, (SELECT count(*) FROM tokens) AS tokens,
        (SELECT value FROM fleet WHERE name = 'relay_id') AS relay_id
"""
_THERE: Final = "SELECT to_regclass('tokens') AS tokens, to_regclass('relays') AS relays"
_LIVE: Final = "SELECT count(*) AS live FROM relays WHERE until > extract(epoch FROM now())"


def dump(address: str, target: str) -> dict[str, Any]:
    """Write the database into a file, as it is at one moment; gives what is in it, C{relay_id} included.

    Which relays run and which tunnels they have is left out.

    @param address: a connection string.
    @raise Unavailable: there is no pg_dump, or it fails, or the database cannot be reached.
    """
    try:
        with connect(checked(address), ANSWER) as connection:
            facts = _row(connection, _FACTS)
    except psycopg.Error as error:
        raise Unavailable(
            f"PostgreSQL cannot be used: {_line(error)}", hint="see --config"
        ) from None
    volatile = [f"--exclude-table-data={name}" for name in ("relays", "tunnels")]
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    words = ["--format=custom", "--no-owner", "--no-privileges", *volatile, f"--file={target}"]
    _run("pg_dump", address, *words)
    return facts


def undump(address: str, source: str, *, replace: bool) -> None:
    """Make the database what a file says, in one transaction.

    @param replace: also where there are a relay's tables already, which are dropped.
    @raise Unavailable: a relay uses the database, or pg_restore is missing or fails.
    @raise AlreadyExists: there are such tables, and they are not to be replaced.
    """
    try:
        with connect(checked(address), ANSWER) as connection:
            there = _row(connection, _THERE)
            live = _row(connection, _LIVE)["live"] if there["relays"] else 0
    except psycopg.Error as error:
        raise Unavailable(
            f"PostgreSQL cannot be used: {_line(error)}", hint="see --config"
        ) from None
    if live:
        raise Unavailable(f"{live} relays use this database", hint="stop them all, then restore")
    if there["tokens"] and not replace:
        raise AlreadyExists(
            "the database has a relay's tables already",
            hint="back it up, then --replace drops them; or use an empty database",
        )
    words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run("pg_restore", address, *words, "--clean", "--if-exists", source)


def _row(
    connection: psycopg.Connection[dict[str, Any]], statement: LiteralString
) -> dict[str, Any]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row


def _run(program: str, address: str, *words: str) -> None:
    """@raise Unavailable: it is not there, or fails."""
    if shutil.which(program) is None:
        raise Unavailable(
            f"there is no {program} here", hint="Debian: apt-get install postgresql-client"
        )
    with _without_password(address) as (shown, environ):
        try:
            done = subprocess.run(
                [program, "--no-password", f"--dbname={shown}", *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=environ,
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{program}: {error}", hint="see the database") from None
    if done.returncode:
        said = " ".join(done.stderr.split())[:LAST]
        raise Unavailable(f"{program}: {said or done.returncode}", hint="nothing was changed")


@contextlib.contextmanager
def _without_password(address: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A connection string that a command line may have, and an environment that names a file with the password.

    @raise InvalidRequest: it has a secret that no file can hold.
    """
    parts: dict[str, Any] = conninfo.conninfo_to_dict(address)
    if "sslpassword" in parts:
        raise InvalidRequest(
            "the database's address has an sslpassword, which every user here would see beside pg_dump",
            hint="give it a client key without one, of mode 0600, or run pg_dump yourself",
        )
    password = parts.pop("password", None)
    environ = dict(os.environ)
    if password is None:
        yield conninfo.make_conninfo(**parts), environ
        return
    with tempfile.NamedTemporaryFile("w", prefix="clove-pgpass-") as file:  # of mode 0600
        escaped = str(password).replace("\\", "\\\\").replace(":", "\\:")
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        parts.pop("passfile", None)
        yield conninfo.make_conninfo(**parts), {**environ, "PGPASSFILE": file.name}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
