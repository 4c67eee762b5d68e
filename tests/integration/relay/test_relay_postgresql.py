"""PostgreSQL does what every store must; and what it does when the database is slow or gone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import msgspec
import psycopg
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import DeferredList
from twisted.internet.task import deferLater

from clove.errors import InvalidRequest, Unavailable
from clove.relay.records import TokenKind
from clove.relay.store.interface import IStore, MachineChanges, StoreLimits
from clove.relay.store.postgresql import PostgreSQLStore
from clove.relay.store.postgresql_connection import checked
from clove.threads.threads import ThreadLimits, Threads
from tests.contracts.relay_store import RelayStoreContract
from tests.contracts.relay_store_making import KEY, NOW, MakeStore, machine, token
from tests.postgresql import PostgreSQL, own_postgresql

pytestmark = pytest.mark.usefixtures("postgresql")  # begun before a test's own fixtures are


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """Of an empty database; on a server of the test's own, if it asks for one."""
    chosen = "own_server" if "own_server" in request.fixturenames else "postgresql"
    running: PostgreSQL = request.getfixturevalue(chosen)
    return running.new_database()


@pytest.fixture
def own_server() -> Iterator[PostgreSQL]:
    """One to stop."""
    with own_postgresql() as running:
        yield running


@pytest.fixture
def make(address: str) -> Iterator[MakeStore]:
    """Each store is one more relay's of the same database."""
    made: list[tuple[PostgreSQLStore, Threads]] = []

    def make(**limits: float) -> PostgreSQLStore:
        threads = Threads(reactor, 1, ThreadLimits(own=4))  # type: ignore[arg-type] # no interface
        given = StoreLimits(**limits)  # type: ignore[arg-type] # some are whole numbers
        store = PostgreSQLStore(reactor, address, threads, given, "f" * 32)
        threads.start()
        made.append((store, threads))
        return store

    yield make
    for store, threads in made:
        pytest_twisted.blockon(store.close())
        threads.stop()


class TestPostgreSQLStore(RelayStoreContract):
    @pytest.fixture
    def make(self, make: MakeStore) -> MakeStore:
        return make


class Told:
    """What an observer was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def token_ended(self, token_id: str) -> None:
        self.said.append(f"token {token_id}")

    def machine_removed(self, machine_id: str) -> None:
        self.said.append(f"machine {machine_id}")

    def labels_changed(self, machine_id: str) -> None:
        self.said.append(f"labels {machine_id}")

    def token_narrowed(self, token_id: str) -> None:
        self.said.append(f"scope {token_id}")

    def tunnel_taken(self, relay: str, machine_id: str) -> None:
        self.said.append(f"tunnel {relay} {machine_id}")

    def changes_missed(self) -> None:
        self.said.append("missed")

    async def wait(self, many: int) -> list[str]:
        await turned(lambda: len(self.said) >= many)
        return self.said


async def turned(look: Callable[[], object]) -> None:
    """Until something is so; a test has its time limit."""
    while not look():
        await deferLater(reactor, 0.01, lambda: None)


async def test_relays_hear_of_revocations_and_removals_by_others(make: MakeStore) -> None:
    ours, other = make(), make()
    told = Told()
    ours.observe(told)
    assert await told.wait(1) == ["missed"]
    await other.add_machine(machine("m1", public_key=KEY), token("its", machine_id="m1"))
    await other.add_token(token("one"))
    await ours.add_token(token("own"))
    await ours.revoke_token("own", NOW)
    await other.revoke_token("one", NOW)
    await other.add_token(token("two"))
    await other.change_token("two", lambda each: msgspec.structs.replace(each, name="b"))
    await other.change_machine("m1", MachineChanges(name="renamed"))
    await other.change_machine("m1", MachineChanges(labels={"env": "prod"}))
    await other.remove_machine("m1", NOW)
    assert await told.wait(6) == [
        "missed",
        "token one",
        "scope two",
        "labels m1",
        "machine m1",
        "token its",
    ]


async def test_a_change_that_was_rolled_back_is_not_told(make: MakeStore) -> None:
    ours, other = make(), make()
    told = Told()
    ours.observe(told)
    await told.wait(1)
    await other.add_token(token("one"))
    with pytest.raises(Exception, match="no such machine"):
        await other.remove_machine("none", NOW)
    await other.revoke_token("one", NOW)
    assert await told.wait(2) == ["missed", "token one"]


async def test_a_token_makes_one_machine_join_on_whichever_relay(make: MakeStore) -> None:
    stores = [make(), make()]
    for number in range(5):
        name = f"m{number}"
        await stores[0].add_token(token(name, kind=TokenKind.JOIN, machine_id=name))
        keys = [bytes([number]) * 32, bytes([100 + number]) * 32]
        results = await DeferredList(
            [
                store.join_machine(name, key, name, NOW)
                for store, key in zip(stores, keys, strict=True)
            ],
            consumeErrors=True,
        )
        assert sorted(good for good, _ in results) == [False, True]
        [joined] = [result.public_key for good, result in results if good]
        assert await stores[1].keys_of([name]) == {name: joined}


async def test_limits_hold_for_all_relays_together(make: MakeStore) -> None:
    stores = [make(tokens=5), make(tokens=5)]
    asked = [stores[number % 2].add_token(token(f"t{number}")) for number in range(20)]
    results = await DeferredList(asked, consumeErrors=True)
    assert sum(good for good, _ in results) == 5
    assert len(await stores[0].tokens("", 99)) == 5


async def test_without_the_database_calls_fail_and_later_they_do_not(
    make: MakeStore, own_server: PostgreSQL
) -> None:
    store = make()
    told = Told()
    store.observe(told)
    await told.wait(1)
    await store.add_token(token("one"))
    own_server.stop()
    try:
        for _ in range(3):
            with pytest.raises(Unavailable, match="cannot be used now"):
                await store.token_by_digest(token("one").digest)
    finally:
        own_server.start()
    assert await eventually(store) == token("one")
    assert set(await told.wait(2)) == {"missed"}


async def test_a_restart_between_two_calls_is_not_noticed(
    make: MakeStore, own_server: PostgreSQL
) -> None:
    store = make()
    await DeferredList([store.add_token(token(f"t{number}")) for number in range(8)])
    own_server.stop(signal.SIGINT)
    own_server.start()
    assert await store.token("t1") == token("t1")
    await store.revoke_token("t1", NOW)


async def test_a_database_that_does_not_answer_is_not_waited_for(
    make: MakeStore, postgresql: PostgreSQL
) -> None:
    store = make(answer_seconds=0.5)
    await store.add_token(token("one"))
    postgresql.signal_all(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            await store.token("one")
    finally:
        postgresql.signal_all(signal.SIGCONT)
    assert await eventually(store) == token("one")


async def test_all_relays_of_a_database_have_one_id(make: MakeStore, address: str) -> None:
    threads = Threads(reactor, 1)  # type: ignore[arg-type] # no interface
    first = make()
    second = PostgreSQLStore(reactor, address, threads, relay_id="0" * 32)
    assert first.relay_id == second.relay_id == "f" * 32  # type: ignore[attr-defined] # of this store


async def test_the_tables_of_a_newer_release_are_left_alone(make: MakeStore, address: str) -> None:
    make()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("INSERT INTO clove_version VALUES (99)")
    with pytest.raises(Unavailable, match="version 99"):
        make()


async def test_errors_of_the_database_say_nothing_of_it(make: MakeStore, address: str) -> None:
    store = make()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE tokens")
    with pytest.raises(Unavailable, match="cannot be used now"):
        await store.tokens("", 1)


async def test_a_text_that_postgresql_cannot_have_is_the_callers_error(make: MakeStore) -> None:
    with pytest.raises(InvalidRequest, match="NUL"):
        await make().tokens("a\0b", 1)


async def test_more_than_may_wait_are_refused(make: MakeStore) -> None:
    store = make(waiting=2)
    asked = [store.tokens("", 1) for _ in range(3)]
    with pytest.raises(Unavailable):
        await asked[2]
    assert [await each for each in asked[:2]] == [[], []]


async def test_a_store_that_is_closed_answers_what_was_asked_and_no_more(make: MakeStore) -> None:
    store = make()
    asked = store.tokens("", 1)
    await store.close()
    assert await asked == []
    with pytest.raises(Unavailable):
        await store.tokens("", 1)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ("postgresql:///clove", None),
        ("host=/run/postgresql", None),
        ("host=127.0.0.1", None),
        ("host=db.example.org", "verify-full"),
        ("host=localhost,db.example.org", "verify-full"),
        ("hostaddr=192.0.2.1 host=localhost", "verify-full"),
        ("host=db.example.org sslmode=verify-ca", "verify-ca"),
    ],
)
def test_over_a_network_the_server_has_to_prove_itself(given: str, mode: str | None) -> None:
    assert psycopg.conninfo.conninfo_to_dict(checked(given)).get("sslmode") == mode


def test_a_wrong_connection_string_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked("host=x secret")
    assert "secret" not in str(refused.value)


async def eventually(store: IStore) -> object:
    """A token, once the store answers again."""
    while True:
        try:
            return await store.token("one")
        except Unavailable:
            await deferLater(reactor, 0.05, lambda: None)
