"""Backups of a relay's database: made by pg_dump, and restored where no relay runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.rows import dict_row

from clove.cli.main import main
from clove.errors import InvalidRequest, Unavailable
from clove.relay.store import postgresql_dump
from clove.relay.store.postgresql_schema import migrate
from tests.postgresql import PostgreSQL, own_postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with own_postgresql() as running:
        yield running


def clove(*words: str) -> Result:
    return CliRunner().invoke(main, ["relay", *words])


def with_one_token(address: str) -> None:
    """Make a relay's tables, with a token and a relay that has died."""
    with psycopg.connect(address, row_factory=dict_row) as connection:
        migrate(connection, "a" * 32)
        connection.execute(
            "INSERT INTO tokens VALUES ('t1', 'x', 'admin', 'ann', '', '{}', '{}', 1, NULL, NULL, NULL, NULL)"
        )
        connection.execute("INSERT INTO relays VALUES ('r1', '', 'k', 1, false)")


def counted(address: str, statement: str) -> object:
    with psycopg.connect(address) as connection:
        return connection.execute(statement.encode()).fetchone()


def config_of(path: Path, address: str) -> str:
    path.write_text(f"[store]\npostgresql = {json.dumps(address)}\n")
    return str(path)


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="needs pg_dump (postgresql-client)")
def test_a_backup_of_a_database_is_restored_into_another(
    server: PostgreSQL, tmp_path: Path
) -> None:
    first, second = server.new_database(), server.new_database()
    with_one_token(first)
    file, state = str(tmp_path / "backup"), ("--state-dir", str(tmp_path / "state"))
    made = clove("backup", "--config", config_of(tmp_path / "a", first), *state, "--json", file)
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["tokens"] == 1
    config = config_of(tmp_path / "b", second)
    done = clove("restore", "--config", config, *state, file)
    assert done.exit_code == 0, done.output
    assert counted(second, "SELECT id, name FROM tokens") == ("t1", "ann")
    assert counted(second, "SELECT value FROM fleet") == ("a" * 32,)
    assert counted(second, "SELECT count(*) FROM relays") == (0,), "which relays run is left out"
    again = clove("restore", "--config", config, *state, file)
    assert "has a relay's tables already" in again.output
    assert clove("restore", "--config", config, *state, "--replace", file).exit_code == 0
    with psycopg.connect(second) as connection:
        connection.execute("INSERT INTO relays VALUES ('r2', '', 'k', 9e9, false)")
    used = clove("restore", "--config", config, *state, "--replace", file)
    assert "1 relays use this database" in used.output
    assert "is a backup of a postgresql store" in clove("restore", *state, file).output


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="needs pg_dump (postgresql-client)")
def test_a_password_is_in_no_command_line_and_no_error(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    for name in ("pg_dump",):
        (tmp_path / name).write_text(
            f'#!/bin/sh\necho "$@" "$(env)" > {noted}\ncat "$PGPASSFILE" >> {noted}.file\n'
        )
        (tmp_path / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        postgresql_dump._run("pg_dump", "postgresql://ann:s3:c\\ret@db.example.org/clove", "--x")
    assert "s3" not in noted.read_text()
    assert "host=db.example.org" in noted.read_text()
    assert Path(f"{noted}.file").read_text() == "*:*:*:*:s3\\:c\\\\ret\n"
    with pytest.raises(Unavailable) as raised:
        postgresql_dump.dump("host=/nowhere password=s3cret", str(tmp_path / "d"))
    assert "s3cret" not in str(raised.value)


def test_a_secret_that_only_a_command_line_could_hold_is_refused(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        (tmp_path / "pg_dump").touch(0o755)
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(InvalidRequest, match="sslpassword") as raised:
            postgresql_dump._run("pg_dump", "host=db.example.org sslpassword=s3cret")
    assert "s3cret" not in str(raised.value)
