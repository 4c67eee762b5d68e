"""The embedded store does what every store must, keeps its file private, and says what is wrong."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from clove.errors import Unavailable
from clove.relay.store.connection import connect
from clove.relay.store.interface import StoreLimits
from clove.relay.store.sqlite import SQLiteStore
from clove.threads.threads import ThreadLimits, Threads
from tests.contracts.relay_store import RelayStoreContract
from tests.contracts.relay_store_making import MakeStore, token


class TestSQLiteStore(RelayStoreContract):
    @pytest.fixture
    def threads(self) -> Iterator[Threads]:
        threads = Threads(reactor, 1, ThreadLimits(own=1))  # type: ignore[arg-type] # no interface
        threads.start()
        yield threads
        threads.stop()

    @pytest.fixture
    def make(self, tmp_path: Path, threads: Threads) -> Iterator[MakeStore]:
        made: list[SQLiteStore] = []

        def make(**limits: float) -> SQLiteStore:
            given = StoreLimits(**limits)  # type: ignore[arg-type] # some are whole numbers
            store = SQLiteStore(str(tmp_path / "relay.sqlite"), threads, given)
            made.append(store)
            return store

        yield make
        for store in made:
            pytest_twisted.blockon(store.close())

    async def test_what_was_answered_is_there_after_a_restart(self, make: MakeStore) -> None:
        first = make()
        await first.add_token(token("one"))
        await first.close()
        assert await make().token("one") == token("one")

    async def test_more_than_may_wait_are_refused(self, make: MakeStore) -> None:
        store = make(waiting=2)
        asked = [store.tokens("", 1) for _ in range(3)]
        with pytest.raises(Unavailable):
            await asked[2]
        assert [await each for each in asked[:2]] == [[], []]
        assert await store.tokens("", 1) == []

    async def test_a_store_that_is_closed_answers_no_more(self, make: MakeStore) -> None:
        store = make()
        await store.close()
        with pytest.raises(Unavailable):
            await store.tokens("", 1)

    async def test_errors_of_the_database_say_nothing_of_it(
        self, make: MakeStore, tmp_path: Path
    ) -> None:
        store = make()
        with sqlite3.connect(tmp_path / "relay.sqlite") as other:
            other.execute("DROP TABLE tokens")
        other.close()
        with pytest.raises(Unavailable, match="cannot be used now"):
            await store.tokens("", 1)


def test_no_other_user_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "relay.sqlite"
    earlier = os.umask(0)
    try:
        connection = connect(str(path))
        connection.execute("CREATE TABLE more (one)")
        modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
        files = ("relay.sqlite", "relay.sqlite-shm", "relay.sqlite-wal")
        assert modes == dict.fromkeys(files, 0o600)
    finally:
        os.umask(earlier)
        connection.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "relay.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        connect(str(tmp_path / "relay.sqlite"))
    assert not (tmp_path / "elsewhere").exists()


def test_the_tables_of_a_newer_release_are_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "relay.sqlite")
    connection = connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unavailable, match="version 99"):
        connect(path)


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "relay.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        connect(str(path))
    assert path.read_bytes() == b"no database" * 100
