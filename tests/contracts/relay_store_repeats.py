"""What every store must do with idempotency keys."""

from __future__ import annotations

import pytest

from clove.errors import InvalidRequest
from clove.relay.records import Repeat, RepeatKey
from clove.relay.store.interface import IStore
from tests.contracts.relay_store_making import NOW, MakeStore, StoreMaking

__all__ = ["RepeatStoreContract"]

ONE = RepeatKey("token", "one")
BODY = bytes(32)


async def do(store: IStore, key: str, at: float, *machines: str, token: str = "token") -> None:
    """A request, or what it is on each of some machines."""
    for machine in machines:
        named = RepeatKey(token, key, machine)
        await store.claim_repeat(named, BODY, "a", at)
        await store.finish_repeat(named, "a", b"{}")


class RepeatStoreContract(StoreMaking):
    """See L{StoreMaking}."""

    async def test_the_first_that_asks_does_it_and_the_next_gets_its_answer(
        self, store: IStore
    ) -> None:
        assert await store.claim_repeat(ONE, BODY, "a", NOW) == Repeat(ours=True)
        await store.finish_repeat(ONE, "a", b"{}")
        for claimant in ("a", "b"):
            assert await store.claim_repeat(ONE, BODY, claimant, NOW) == Repeat(answer=b"{}")

    async def test_what_one_did_that_has_ended_is_in_doubt(self, store: IStore) -> None:
        await store.claim_repeat(ONE, BODY, "gone", NOW)
        assert await store.claim_repeat(ONE, BODY, "b", NOW) == Repeat(ours=True, doubtful=True)
        await store.finish_repeat(ONE, "gone", b'"late"')
        await store.finish_repeat(ONE, "b", b'"in time"')
        assert await store.claim_repeat(ONE, BODY, "b", NOW) == Repeat(answer=b'"in time"')

    async def test_what_was_surely_not_done_is_done_by_the_next(self, store: IStore) -> None:
        await store.claim_repeat(ONE, BODY, "a", NOW)
        await store.drop_repeat(ONE, "b")
        await store.drop_repeat(ONE, "a")
        assert await store.claim_repeat(ONE, BODY, "b", NOW) == Repeat(ours=True)

    async def test_what_may_have_been_done_is_in_doubt(self, store: IStore) -> None:
        await store.claim_repeat(ONE, BODY, "a", NOW)
        await store.doubt_repeat(ONE, "a")
        assert await store.claim_repeat(ONE, BODY, "a", NOW) == Repeat(ours=True, doubtful=True)

    async def test_a_key_is_for_one_body_of_one_token(self, store: IStore) -> None:
        await store.claim_repeat(ONE, BODY, "a", NOW)
        with pytest.raises(InvalidRequest, match="another request"):
            await store.claim_repeat(ONE, bytes(31) + b"x", "a", NOW)
        other = RepeatKey("other", "one")
        assert await store.claim_repeat(other, BODY, "a", NOW) == Repeat(ours=True)

    async def test_of_each_token_the_oldest_keys_are_forgotten(self, make: MakeStore) -> None:
        store = make(repeats=2)
        await store.claim_repeat(RepeatKey("other", "k"), BODY, "a", NOW)
        for number in range(4):
            named = RepeatKey("token", str(number))
            await store.claim_repeat(named, BODY, "a", NOW + number)
            await store.finish_repeat(named, "a", b"%d" % number)
        found = [
            await store.claim_repeat(RepeatKey("token", str(number)), BODY, "b", NOW + 9)
            for number in (3, 2, 0)
        ]
        assert found == [Repeat(answer=b"3"), Repeat(answer=b"2"), Repeat(ours=True)]
        assert (await store.claim_repeat(RepeatKey("other", "k"), BODY, "b", NOW)).doubtful

    async def test_old_keys_are_forgotten(self, make: MakeStore) -> None:
        store = make(kept_repeats=10.0)
        await store.claim_repeat(ONE, BODY, "a", NOW)
        await store.finish_repeat(ONE, "a", b"{}")
        await store.claim_repeat(RepeatKey("token", "two"), BODY, "a", NOW + 11)
        assert await store.claim_repeat(ONE, BODY, "a", NOW + 11) == Repeat(ours=True)

    async def test_the_machines_of_a_request_count_as_one_and_are_forgotten_with_it(
        self, make: MakeStore
    ) -> None:
        store = make(repeats=2)
        for number in range(3):
            await do(store, f"k{number}", NOW + 10 * number, "", "m1", "m2", "m3")
        for number, done in ((2, True), (1, True), (0, False)):
            for machine in ("m3", "m1", ""):
                named = RepeatKey("token", f"k{number}", machine)
                assert (await store.claim_repeat(named, BODY, "b", NOW + 99)).ours != done

    async def test_too_many_machines_have_the_oldest_requests_forgotten_as_a_whole(
        self, make: MakeStore
    ) -> None:
        store = make(repeat_machines=4)
        await do(store, "other", NOW, "", token="other")
        await do(store, "old", NOW, "", "m1", "m2")
        await do(store, "one", NOW + 1, "")
        await do(store, "new", NOW + 2, "", "m1", "m2", "m3")
        for named, done in (
            (RepeatKey("token", "new", "m1"), True),
            (RepeatKey("token", "new", "m3"), True),
            (RepeatKey("token", "one"), True),
            (RepeatKey("other", "other"), True),
            (RepeatKey("token", "old", "m2"), False),
            (RepeatKey("token", "old"), False),
        ):
            assert (await store.claim_repeat(named, BODY, "b", NOW + 9)).ours != done
