"""A token becomes less than it is, never more, and what it does not reach any more ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from clove.errors import InvalidRequest, NotAuthenticated, NotFound, Unavailable
from clove.policy import Level
from clove.relay.machines.machines import Machines
from clove.relay.machines.reach import Reach
from clove.relay.records import Identity, MachineRecord, Targets, TokenKind, TokenRecord
from clove.relay.tokens.narrowing import Narrowing, narrowed
from clove.relay.tokens.tokens import Tokens
from tests.unit.relay.instant_store import instant_store

NOW = 1_000_000.0
PROD = {"env": "prod"}


def record(**more: Any) -> TokenRecord:
    given: dict[str, Any] = {
        "kind": TokenKind.AGENT,
        "name": "ci",
        "targets": Targets(machines=("m1", "m2"), labels=PROD),
        "permissions": {"level": "standard", "can_http": True, "allowed_domains": ["a.example"]},
        "created": NOW,
        "expires": NOW + 100,
    }
    return TokenRecord(id="t", digest=b"d", **{**given, **more})


def test_what_is_left_out_stays() -> None:
    assert narrowed(record(), Narrowing(), NOW) == record()
    found = narrowed(record(), Narrowing(name="", expires=NOW + 1), NOW)
    assert (found.name, found.expires, found.targets) == ("", NOW + 1, record().targets)


@pytest.mark.parametrize(
    ("asked", "targets"),
    [
        (Narrowing(machines=("m2",)), Targets(machines=("m2",), labels=PROD)),
        (Narrowing(labels={}), Targets(machines=("m1", "m2"))),
        (
            Narrowing(machines=(), labels={**PROD, "zone": "a"}),
            Targets(labels={**PROD, "zone": "a"}),
        ),
    ],
)
def test_it_reaches_less(asked: Narrowing, targets: Targets) -> None:
    assert narrowed(record(), asked, NOW).targets == targets


def test_it_is_allowed_less() -> None:
    found = narrowed(record(), Narrowing(permissions={"can_http": False}), NOW)
    assert found.permissions == {**record().permissions, "can_http": False}


def paths(*rules: str) -> dict[str, Any]:
    return {"allowed_read_paths": list(rules)}


@pytest.mark.parametrize(
    ("before", "after"),
    [("~/srv/**", "~/srv/a"), ("~/srv/**", "~/srv/**"), ("/**", "~/srv"), ("/*/**", "~/srv/**")],
)
def test_a_home_of_a_kernel_stays_within_its_own_rules(before: str, after: str) -> None:
    found = narrowed(record(permissions=paths(before)), Narrowing(permissions=paths(after)), NOW)
    assert found.permissions == paths(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/data/**", "~/data/**"),
        ("~/data/**", "/data/**"),
        ("/*/data", "~/data"),
        ("/*/*/data", "~/data"),
    ],
)
def test_no_kernels_home_is_taken_for_another_directory(before: str, after: str) -> None:
    with pytest.raises(InvalidRequest, match="allowed_read_paths"):
        narrowed(record(permissions=paths(before)), Narrowing(permissions=paths(after)), NOW)


@pytest.mark.parametrize(
    ("before", "asked", "words"),
    [
        ({"allowed_domains": ["a.example"]}, {"allowed_domains": []}, "allowed_domains"),
        ({"allowed_domains": ["a.example"]}, {"allowed_domains": ["*"]}, "allowed_domains"),
        ({"allowed_http_methods": ["GET"]}, {"allowed_http_methods": []}, "allowed_http_methods"),
        ({"allowed_read_paths": []}, {"level": "readonly"}, "can_read"),
    ],
)
def test_what_the_standard_level_does_not_allow_a_kernel_may(
    before: dict[str, Any], asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        narrowed(record(permissions=before), Narrowing(permissions=asked), NOW)


@pytest.mark.parametrize("before", [{}, {"can_http": True}, {"allowed_domains": ["a.example"]}])
@pytest.mark.parametrize("level", list(Level))
def test_a_level_is_no_more_than_what_each_kernel_allows(
    before: dict[str, Any], level: Level
) -> None:
    asked = {"level": level.value}
    found = narrowed(record(permissions=before), Narrowing(permissions=asked), NOW)
    assert found.permissions == {**before, **asked}


@pytest.mark.parametrize(
    ("before", "asked", "words"),
    [
        (record(), Narrowing(machines=("m3",)), "does not name the machine 'm3'"),
        (record(), Narrowing(labels={"env": "test"}), "other machines"),
        (record(), Narrowing(labels={"zone": "a"}), "other machines"),
        (record(targets=Targets(machines=("m1",))), Narrowing(labels=PROD), "other machines"),
        (record(), Narrowing(machines=(), labels={}), "reach nothing"),
        (record(), Narrowing(expires=NOW + 101), "cannot live longer"),
        (record(), Narrowing(permissions={"can_exec": True, "level": "unrestricted"}), "more than"),
        (record(), Narrowing(permissions={"allowed_domains": ["*"]}), "allowed_domains"),
        (record(), Narrowing(permissions={"allowed_domains": []}), "allowed_domains"),
        (record(kind=TokenKind.ADMIN), Narrowing(labels=PROD), "kind admin"),
        (record(kind=TokenKind.MACHINE), Narrowing(permissions={}), "kind machine"),
        (record(revoked=NOW), Narrowing(name="x"), "not valid"),
        (record(expires=NOW), Narrowing(name="x"), "not valid"),
    ],
)
def test_it_becomes_nothing_more(before: TokenRecord, asked: Narrowing, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        narrowed(before, asked, NOW)


class House:
    """Tokens and machines of a relay."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.store = instant_store(str(directory / "relay.sqlite"))
        self.tokens = Tokens(self.store, self.clock, lambda: NOW + self.clock.seconds())
        self.machines = Machines(self.store, self.tokens, lambda: NOW)
        self.ended: list[str] = []

    async def make(self) -> Identity:
        for name in ("m1", "m2", "m3"):
            await self.store.add_machine(
                MachineRecord(machine_id=name, labels=PROD, created=NOW), None
            )
        await self.store.add_token(record())
        return await self.tokens.of_id("t")

    def open(self, identity: Identity, machine_id: str) -> None:
        self.machines.watch(identity, machine_id, lambda reason: self.ended.append(machine_id))

    async def change(self, **asked: Any) -> TokenRecord:
        now = NOW + self.clock.seconds()
        return await self.store.change_token(
            "t", lambda each: narrowed(each, Narrowing(**asked), now)
        )

    async def narrow(self, **asked: Any) -> None:
        changed = await self.change(**asked)
        self.tokens.expires_sooner(changed)
        await self.machines.narrowed(changed)


@pytest.fixture
def house(tmp_path: Path) -> Any:
    found = House(tmp_path)
    yield found
    found.store.close()


async def test_only_what_it_does_not_reach_any_more_ends(house: House) -> None:
    identity = await house.make()
    for name in ("m1", "m2", "m3"):
        house.open(identity, name)
    await house.narrow(machines=["m1"])
    assert house.ended == [], "the labels still reach them"
    await house.narrow(labels={})
    assert sorted(house.ended) == ["m2", "m3"]
    assert (await house.tokens.of_id("t")).targets == Targets(machines=("m1",))


async def test_all_ends_that_kernels_were_told_other_permissions_for(house: House) -> None:
    identity = await house.make()
    house.open(identity, "m1")
    await house.narrow(permissions={"can_http": False})
    assert house.ended == ["m1"]


async def test_one_that_was_identified_before_opens_nothing_after(house: House) -> None:
    before = await house.make()
    await house.narrow(labels={})
    house.open(before, "m1")
    assert house.ended == ["m1"]
    house.open(await house.tokens.of_id("t"), "m1")
    assert house.ended == ["m1"]


async def test_without_the_store_what_labels_reached_ends(house: House) -> None:
    identity = await house.make()
    house.open(identity, "m1")
    house.open(identity, "m3")
    changed = await house.change(machines=("m1",))

    def gone(names: object) -> Any:
        raise Unavailable("the database is gone")

    house.store.labels_of = gone  # type: ignore[assignment,method-assign] # a store that fails
    with pytest.raises(Unavailable):
        await house.machines.narrowed(changed)
    assert house.ended == ["m3"]


async def test_what_it_has_opened_ends_when_it_expires_now(house: House) -> None:
    identity = await house.make()
    house.open(identity, "m1")
    await house.narrow(expires=NOW + 5)
    house.clock.advance(6)
    house.tokens.end_expired()
    assert house.ended == ["m1"]
    with pytest.raises(NotAuthenticated):
        await house.tokens.of_id("t")


async def test_one_that_is_not_there_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        await house.change(name="x")


def test_tokens_that_were_narrowed_long_ago_are_forgotten() -> None:
    reach = Reach()
    for number in range(3000):
        reach.narrowed(Identity(token_id=str(number), kind=TokenKind.AGENT))
    assert len(reach._narrowed) == 1024
