"""What every store of a relay must do with tokens."""

from __future__ import annotations

import msgspec
import pytest

from clove.errors import LimitExceeded, NotFound
from clove.relay.records import Targets, TokenKind
from clove.relay.store.interface import IStore
from tests.contracts.relay_store_making import NOW, MakeStore, StoreMaking, token

__all__ = ["TokenStoreContract"]


class TokenStoreContract(StoreMaking):
    async def test_a_token_is_found_by_id_and_by_digest(self, store: IStore) -> None:
        kept = token(
            "one",
            kind=TokenKind.AGENT,
            name="nightly",
            targets=Targets(machines=("m1",), labels={"env": "prod"}),
            permissions={"can_http": True},
            expires=NOW + 1,
        )
        await store.add_token(kept)
        assert await store.token("one") == kept
        assert await store.token_by_digest(kept.digest) == kept

    async def test_what_is_not_there_is_not_found(self, store: IStore) -> None:
        assert await store.token_by_digest(b"x" * 32) is None
        with pytest.raises(NotFound):
            await store.token("none")
        with pytest.raises(NotFound):
            await store.revoke_token("none", NOW)

    async def test_a_revoked_token_stays_so_with_its_first_time(self, store: IStore) -> None:
        await store.add_token(token("one"))
        assert (await store.revoke_token("one", NOW + 1)).revoked == NOW + 1
        assert (await store.revoke_token("one", NOW + 2)).revoked == NOW + 1
        assert not (await store.token("one")).is_valid(NOW)

    async def test_tokens_come_in_pages(self, store: IStore) -> None:
        for name in ("c", "a", "b"):
            await store.add_token(token(name))
        assert [each.id for each in await store.tokens("", 2)] == ["a", "b"]
        assert [each.id for each in await store.tokens("b", 2)] == ["c"]

    async def test_the_last_use_never_goes_back(self, store: IStore) -> None:
        await store.add_token(token("one"))
        await store.used_tokens({"one": NOW + 5, "removed": NOW})
        await store.used_tokens({"one": NOW + 3})
        assert (await store.token("one")).last_used == NOW + 5

    async def test_valid_tokens_of_a_kind_are_counted(self, store: IStore) -> None:
        await store.add_token(token("one"))
        await store.add_token(token("expired", expires=NOW - 1))
        await store.add_token(token("other", kind=TokenKind.AGENT))
        await store.add_token(token("revoked"))
        await store.revoke_token("revoked", NOW)
        assert await store.count_tokens(TokenKind.ADMIN, NOW) == 1

    async def test_of_many_tokens_the_revoked_and_unknown_are_told(self, store: IStore) -> None:
        for name in ("one", "two", "three"):
            await store.add_token(token(name))
        await store.revoke_token("two", NOW)
        assert await store.invalid_tokens(["one", "two", "none"], NOW) == ["two", "none"]
        assert await store.invalid_tokens([], NOW) == []

    async def test_a_token_expires_earlier_but_never_later(self, store: IStore) -> None:
        await store.add_token(token("one"))
        await store.add_token(token("short", expires=NOW + 5))
        assert (await store.expire_token("one", NOW + 10)).expires == NOW + 10
        assert (await store.expire_token("one", NOW + 20)).expires == NOW + 10
        assert (await store.expire_token("short", NOW + 10)).expires == NOW + 5
        assert await store.invalid_tokens(["one", "short"], NOW + 7) == ["short"]
        with pytest.raises(NotFound):
            await store.expire_token("none", NOW)

    async def test_one_token_too_many_is_refused(self, make: MakeStore) -> None:
        store = make(tokens=2)
        await store.add_token(token("one"))
        await store.add_token(token("two"))
        with pytest.raises(LimitExceeded):
            await store.add_token(token("three"))
        assert len(await store.tokens("", 10)) == 2

    async def test_tokens_that_were_over_long_ago_make_room(self, make: MakeStore) -> None:
        store = make(tokens=2, kept_tokens=10.0)
        await store.add_token(token("old", expires=NOW - 11))
        await store.add_token(token("recent", expires=NOW - 9))
        await store.add_token(token("new"))
        assert [each.id for each in await store.tokens("", 10)] == ["new", "recent"]

    async def test_a_token_is_kept_as_it_was_given(self, store: IStore) -> None:
        odd = token("odd", name="'; DROP TABLE tokens; -- \u2603")
        await store.add_token(odd)
        assert msgspec.structs.asdict(await store.token("odd")) == msgspec.structs.asdict(odd)
