"""What every store must do with what was refused."""

from __future__ import annotations

from typing import Any

from clove.relay.denial_record import Denial, Refusal
from clove.relay.store.interface import IStore
from tests.contracts.relay_store_making import NOW, MakeStore, StoreMaking

__all__ = ["DenialStoreContract"]

MOST = 16


def denial(number: int, source: str = "192.0.2.1", *, count: int = 1, **given: Any) -> Denial:
    """One of a relay's, by its number there."""
    facts = {"kind": "token", "what": f"GET /{number}", **given}
    refusal = Refusal(source=source, **facts)
    caller = refusal.token_id or source
    at = NOW + number
    return Denial(id=number, at=at, last=at, count=count, refusal=refusal, caller=caller)


async def shown(store: IStore, **given: Any) -> list[str]:
    """What was asked for, of each; the newest first."""
    return [each.refusal.what for each in await store.denials(0, 999, **given)]


class DenialStoreContract(StoreMaking):
    """See L{StoreMaking}."""

    async def test_denials_come_newest_first_in_pages_of_all_relays(self, store: IStore) -> None:
        await store.keep_denials("a", [denial(1), denial(2)])
        await store.keep_denials("b", [denial(1, "2001:db8::1", code="not_authenticated")])
        first = await store.denials(0, 2)
        assert [each.refusal.source for each in first] == ["2001:db8::1", "192.0.2.1"]
        [last] = await store.denials(first[-1].id, 9)
        assert (last.refusal, last.at, last.last, last.count) == (
            denial(1).refusal,
            NOW + 1,
            NOW + 1,
            1,
        )
        assert await store.denials(last.id, 9) == []

    async def test_one_that_is_written_again_is_the_same_with_its_new_count(
        self, store: IStore
    ) -> None:
        await store.keep_denials("a", [denial(1), denial(2)])
        again = denial(1, count=7)
        again.last += 30
        await store.keep_denials("a", [again])
        await store.keep_denials(
            "a", [denial(1)]
        )  # written before, by a connection that took longer
        newer, older = await store.denials(0, 9)
        assert (older.count, older.at, older.last) == (7, NOW + 1, NOW + 31)
        assert (newer.count, newer.id > older.id) == (1, True)

    async def test_kinds_and_machines_are_found_apart(self, store: IStore) -> None:
        kernel = denial(1, kind="kernel", machine_id="m1")
        link = denial(2, kind="connection", machine_id="m2")
        await store.keep_denials("a", [kernel, link, denial(3)])
        assert await shown(store, kind="kernel") == ["GET /1"]
        assert await shown(store, machine_id="m2") == ["GET /2"]
        assert await shown(store, kind="kernel", machine_id="m2") == []

    async def test_a_flood_washes_out_its_own_first(self, make: MakeStore) -> None:
        store = make(denials=MOST)
        await store.keep_denials("a", [denial(1, "quiet"), denial(2, "owner", token_id="quiet")])
        flood = [denial(number, "loud") for number in range(3, 40)]
        await store.keep_denials("a", flood[:20])
        await store.keep_denials("b", flood[20:])
        share = [f"GET /{number}" for number in range(39, 39 - MOST // 4, -1)]
        assert await shown(store) == [*share, "GET /2", "GET /1"]

    async def test_a_tokens_share_is_one_whatever_address_it_comes_from(
        self, make: MakeStore
    ) -> None:
        store = make(denials=MOST)
        await store.keep_denials("a", [denial(1, token_id="quiet")])
        flood = [denial(each, f"192.0.2.{each}", token_id="loud") for each in range(2, 40)]
        await store.keep_denials("a", flood)
        assert len(await shown(store)) == MOST // 4 + 1

    async def test_strangers_from_everywhere_leave_those_with_a_token_their_half(
        self, make: MakeStore
    ) -> None:
        store = make(denials=MOST)
        named = [denial(each, token_id=f"token {each}") for each in range(MOST)]
        await store.keep_denials("a", named)
        for begin in range(MOST, MOST + 900, 300):
            crowd = [denial(each, f"address {each}") for each in range(begin, begin + 300)]
            await store.keep_denials("a", crowd)
        kept = [each.refusal.token_id for each in await store.denials(0, 999)]
        assert (len(kept), kept.count("")) == (MOST, MOST // 2)
