"""The registry keeps what machines tell about themselves, within bounds, and who may reach them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from clove.errors import InvalidRequest, NotFound
from clove.relay.machines.machines import Machines, check_machine_id
from clove.relay.records import Identity, MachineRecord, Targets, TokenKind
from clove.relay.store.interface import StoreLimits
from clove.relay.store.sqlite import SQLiteStore
from clove.relay.tokens.tokens import Tokens
from tests.unit.relay.instant_store import instant_store

WALL = 1_000_000.0
ADMIN = Identity(token_id="a", kind=TokenKind.ADMIN, targets=Targets(every=True))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = instant_store(str(tmp_path / "relay.sqlite"))
    yield store
    store.close()


@pytest.fixture
def machines(store: SQLiteStore) -> Machines:
    clock = Clock()
    tokens = Tokens(store, clock, lambda: WALL)
    return Machines(store, tokens, lambda: WALL, StoreLimits(report=1000))


async def test_what_is_told_is_written_together(machines: Machines) -> None:
    for name in ("m1", "m2"):
        await machines.add(MachineRecord(machine_id=name, created=WALL))
    await machines.seen("m1", address="192.0.2.1", versions={"clove": "1"}, isolation={"x": True})
    await machines.seen("m1", address="192.0.2.9")
    await machines.seen("m2", address="192.0.2.2")
    assert (await machines.get("m1")).last_seen is None
    await machines.write_seen()
    found = await machines.get("m1")
    assert (found.address, found.versions, bytes(found.isolation)) == (
        "192.0.2.9",
        {"clove": "1"},
        b'{"x":true}',
    )
    assert (await machines.get("m2")).last_seen == WALL


async def test_a_report_that_is_too_large_is_left_out_and_flagged(machines: Machines) -> None:
    await machines.add(MachineRecord(machine_id="m1", created=WALL))
    await machines.seen("m1", address="192.0.2.1", isolation={"x": "y" * 1000})
    await machines.write_seen()
    found = await machines.get("m1")
    assert (found.address, bytes(found.isolation)) == ("192.0.2.1", b"{}")
    assert [flag.what for flag in found.flags] == ["report_too_large"]


async def test_a_machine_that_was_removed_meanwhile_stays_removed(machines: Machines) -> None:
    await machines.add(MachineRecord(machine_id="m1", created=WALL))
    await machines.seen("m1", address="192.0.2.1")
    await machines.remove("m1")
    await machines.write_seen()
    with pytest.raises(NotFound):
        await machines.get("m1")


@pytest.mark.parametrize(
    ("identity", "reached"),
    [
        (ADMIN, {"m1", "m2"}),
        (
            Identity(token_id="b", kind=TokenKind.AGENT, targets=Targets(machines=("m1", "m3"))),
            {"m1"},
        ),
        (
            Identity(token_id="c", kind=TokenKind.AGENT, targets=Targets(labels={"env": "prod"})),
            {"m2"},
        ),
        (Identity(token_id="d", kind=TokenKind.AGENT), set()),
        (Identity(token_id="e", kind=TokenKind.MACHINE, machine_id="m1"), set()),
        (Identity(token_id="f", kind=TokenKind.JOIN, machine_id="m1"), set()),
    ],
)
async def test_a_token_reaches_its_targets_that_are_there(
    identity: Identity, reached: set[str], machines: Machines
) -> None:
    await machines.add(MachineRecord(machine_id="m1", created=WALL))
    await machines.add(MachineRecord(machine_id="m2", created=WALL, labels={"env": "prod"}))
    found = {name for name in ("m1", "m2", "m3") if await machines.may_reach(identity, name)}
    assert found == reached


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-a", "a" * 129, "\u00e4", "a\n"])
def test_what_can_be_no_id_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_machine_id(name)
