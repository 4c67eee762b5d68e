"""What every store of a relay must do with machines."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from twisted.internet.defer import DeferredList

from clove.errors import AlreadyExists, CloveError, LimitExceeded, NotAuthenticated, NotFound
from clove.relay.records import EVERY_MACHINE, Flag, Targets, TokenKind, TokenRecord
from clove.relay.store.interface import IStore, MachineChanges, Seen
from tests.contracts.relay_store_making import KEY, NOW, MakeStore, StoreMaking, machine, token

__all__ = ["MachineStoreContract"]

OTHER_KEY = bytes(32)


class MachineStoreContract(StoreMaking):
    async def test_a_machine_is_kept_as_it_was_given(self, store: IStore) -> None:
        kept = machine("m1", name="'\u2603", labels={"env": "prod"}, metadata={"rack": [1, None]})
        await store.add_machine(kept, None)
        assert await store.machine("m1") == kept
        assert await store.machine("m2") is None

    async def test_a_machine_and_its_token_are_kept_together_or_not(self, make: MakeStore) -> None:
        store = make(tokens=1)
        await store.add_machine(machine("m1"), token("one", machine_id="m1"))
        with pytest.raises(AlreadyExists):
            await store.add_machine(machine("m1"), token("two"))
        with pytest.raises(LimitExceeded):
            await store.add_machine(machine("m2"), token("two"))
        assert [each.id for each in await store.tokens("", 9)] == ["one"]
        assert await store.machine("m2") is None

    async def test_one_machine_too_many_is_refused(self, make: MakeStore) -> None:
        store = make(machines=1)
        await store.add_machine(machine("m1"), None)
        with pytest.raises(LimitExceeded):
            await store.add_machine(machine("m2"), None)
        await store.add_token(join_token("one", "m3"))
        with pytest.raises(LimitExceeded):
            await store.join_machine("m3", KEY, "one", NOW)

    async def test_targets_choose_what_the_pure_rule_chooses(self, store: IStore) -> None:
        labels = [{}, {"env": "prod"}, {"env": "test"}, {"env": "prod", "zone": "a"}]
        for number, each in enumerate(labels):
            await store.add_machine(machine(f"m{number}", labels=each), None)
        for machines, wanted, every in itertools.product(
            ((), ("m0",), ("m2", "x")), (*labels, {"zone": "b"}, {'a"]': "'"}), (False, True)
        ):
            targets = Targets(machines=machines, labels=wanted, every=every)
            chosen = [
                f"m{number}"
                for number, each in enumerate(labels)
                if targets.include(f"m{number}", each)
            ]
            found = await store.machines("", 9, targets)
            assert [each.machine_id for each in found] == chosen, targets
            assert await store.count_machines(targets, ["m0", "m3", "x"]) == (
                len(chosen),
                len({"m0", "m3"} & set(chosen)),
            )

    async def test_machines_come_in_pages(self, store: IStore) -> None:
        for name in ("c", "a", "b"):
            await store.add_machine(machine(name), None)
        pages = [await store.machines(after, 2, EVERY_MACHINE) for after in ("", "b")]
        assert [[each.machine_id for each in page] for page in pages] == [["a", "b"], ["c"]]

    async def test_only_what_is_given_changes(self, store: IStore) -> None:
        await store.add_machine(machine("m1", name="before", labels={"a": "b"}), None)
        changed = await store.change_machine("m1", MachineChanges(name="after", draining=True))
        assert changed == machine("m1", name="after", labels={"a": "b"}, draining=True)
        assert await store.machine("m1") == changed
        with pytest.raises(NotFound):
            await store.change_machine("m2", MachineChanges())

    async def test_what_a_tunnel_tells_is_kept(self, store: IStore) -> None:
        await store.add_machine(machine("m1"), None)
        first = Seen(at=NOW + 1, address="192.0.2.1", versions={"os": "x"})
        await store.seen_machines({"m1": first, "removed": Seen(at=NOW)})
        await store.seen_machines({"m1": Seen(at=NOW + 2)})
        found = await store.machine("m1")
        assert found == machine("m1", last_seen=NOW + 2, address="192.0.2.1", versions={"os": "x"})

    async def test_of_each_kind_of_flag_the_last_is_kept(self, store: IStore) -> None:
        await store.add_machine(machine("m1"), None)
        for what, at in (("copied_key", NOW), ("other", NOW), ("copied_key", NOW + 1)):
            await store.flag_machine("m1", Flag(what=what, at=at))
        await store.flag_machine("removed", Flag(what="other", at=NOW))
        found = await store.machine("m1")
        assert found is not None
        assert {(flag.what, flag.at) for flag in found.flags} == {
            ("other", NOW),
            ("copied_key", NOW + 1),
        }

    async def test_keys_are_told_of_the_machines_that_there_are(self, store: IStore) -> None:
        await store.add_machine(machine("m1", public_key=KEY), None)
        await store.add_machine(machine("m2"), None)
        assert await store.keys_of(["m1", "m2", "m3"]) == {"m1": KEY, "m2": None}

    async def test_labels_are_told_of_the_machines_that_there_are(self, store: IStore) -> None:
        await store.add_machine(machine("m1", labels={"env": "prod"}), None)
        await store.add_machine(machine("m2"), None)
        assert await store.labels_of(["m1", "m2", "m3"]) == {"m1": {"env": "prod"}, "m2": {}}

    async def test_removing_a_machine_revokes_its_tokens_alone(self, store: IStore) -> None:
        await store.add_machine(machine("m1", public_key=KEY), None)
        await store.add_token(token("its", kind=TokenKind.MACHINE, machine_id="m1"))
        await store.add_token(join_token("join", "m1"))
        await store.add_token(join_token("other", "m2"))
        assert sorted(await store.remove_machine("m1", NOW)) == ["its", "join"]
        assert await store.machine("m1") is None
        assert [(await store.token(each)).revoked for each in ("its", "join", "other")] == [
            NOW,
            NOW,
            None,
        ]
        with pytest.raises(NotFound):
            await store.remove_machine("m1", NOW)

    async def test_a_join_token_is_used_up_by_a_key(self, store: IStore) -> None:
        await store.add_token(join_token("one", "m1"))
        assert (await store.join_machine("m1", KEY, "one", NOW)).public_key == KEY
        assert not (await store.token("one")).is_valid(NOW)
        assert (await store.join_machine("m1", KEY, "one", NOW)).public_key == KEY  # answer lost
        with pytest.raises(AlreadyExists):
            await store.join_machine("m1", OTHER_KEY, "one", NOW)

    async def test_a_registered_machine_keeps_its_facts_when_it_joins(self, store: IStore) -> None:
        await store.add_machine(machine("m1", labels={"env": "prod"}), None)
        await store.add_token(join_token("one", "m1"))
        await store.join_machine("m1", KEY, "one", NOW + 1)
        assert await store.machine("m1") == machine("m1", labels={"env": "prod"}, public_key=KEY)

    async def test_a_machine_joins_with_a_valid_token_of_its_own_only(self, store: IStore) -> None:
        await store.add_token(join_token("other", "m2"))
        await store.add_token(join_token("expired", "m1", expires=NOW))
        await store.add_token(token("elsewhere", kind=TokenKind.MACHINE, machine_id="m2"))
        await store.add_token(token("agent", kind=TokenKind.AGENT))
        await store.add_token(join_token("revoked", "m1"))
        await store.revoke_token("revoked", NOW)
        for token_id in ("other", "expired", "elsewhere", "agent", "revoked", "none"):
            with pytest.raises(NotAuthenticated):
                await store.join_machine("m1", KEY, token_id, NOW)
        assert await store.machine("m1") is None

    async def test_a_machine_joins_by_its_own_token_once_and_that_stays_valid(
        self, store: IStore
    ) -> None:
        await store.add_token(token("own", kind=TokenKind.MACHINE, machine_id="m1"))
        assert (await store.join_machine("m1", KEY, "own", NOW)).public_key == KEY
        with pytest.raises(AlreadyExists):
            await store.join_machine("m1", OTHER_KEY, "own", NOW)
        assert (await store.token("own")).is_valid(NOW)

    async def test_of_two_that_join_with_one_token_one_does(self, store: IStore) -> None:
        await store.add_token(join_token("one", "m1"))
        results: list[Any] = await DeferredList(
            [store.join_machine("m1", key, "one", NOW) for key in (KEY, OTHER_KEY)],
            consumeErrors=True,
        )
        assert sorted(good for good, _ in results) == [False, True]
        [refused] = [result for good, result in results if not good]
        assert isinstance(refused.value, CloveError)


def join_token(token_id: str, machine_id: str, **given: float) -> TokenRecord:
    return token(token_id, kind=TokenKind.JOIN, machine_id=machine_id, **given)
