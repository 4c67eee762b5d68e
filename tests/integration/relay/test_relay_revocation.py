"""Attack 22: revoked is revoked, at once, and after a restart of the relay as well."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred

from clove.errors import NotAuthenticated
from tests.integration.relay.relays import Relay, running_relay


async def test_a_revoked_token_opens_nothing_from_the_answer_on(relay: Relay) -> None:
    made = await relay.made("/api/v1/tokens/admin")
    assert (await relay.ask("GET", "/api/v1/tokens", token=made["token"])).status == 200
    revoked = await relay.ask("DELETE", f"/api/v1/tokens/{made['id']}")
    assert revoked.json["status"] == "revoked"
    assert (await relay.ask("GET", "/api/v1/tokens", token=made["token"])).status == 401
    again = await relay.ask("DELETE", f"/api/v1/tokens/{made['id']}")
    assert again.json["revoked_at"] == revoked.json["revoked_at"]


async def test_what_a_token_opened_ends_before_the_answer(relay: Relay) -> None:
    made = await relay.made("/api/v1/tokens/agent", {"target_machine": "m1"})
    identity = await relay.parts.tokens.identify(made["token"], "192.0.2.1")
    ended: list[str] = []
    relay.parts.tokens.watch(identity, ended.append)
    await relay.ask("DELETE", f"/api/v1/tokens/{made['id']}")
    assert ended == ["its token was revoked"]


async def test_one_that_is_being_let_in_meanwhile_does_not_stay(relay: Relay) -> None:
    """Its token was looked up before it was revoked, and what it opens is watched afterwards."""
    made = await relay.made("/api/v1/tokens/agent", {"target_machine": "m1"})
    tokens = relay.parts.tokens
    entering = Deferred.fromCoroutine(tokens.identify(made["token"], "192.0.2.1"))
    await tokens.revoke(made["id"])
    ended: list[str] = []
    try:
        identity = await entering
    except NotAuthenticated:
        return
    tokens.watch(identity, ended.append)
    assert ended == ["its token was revoked"]


async def test_removing_a_machine_ends_what_its_tokens_opened(relay: Relay) -> None:
    made = await relay.made("/api/v1/machines", {"machine_id": "m1"})
    identity = await relay.parts.tokens.identify(made["token"], "192.0.2.1")
    ended: list[str] = []
    relay.parts.tokens.watch(identity, ended.append)
    await relay.ask("DELETE", "/api/v1/machines/m1")
    assert ended == ["its machine was removed"]
    assert (await relay.ask("GET", "/api/v1/machines", token=made["token"])).status == 401


async def test_a_revocation_outlives_the_relay(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as first:
        kept = await first.made("/api/v1/tokens/admin")
        made = await first.made("/api/v1/tokens/admin")
        await first.ask("DELETE", f"/api/v1/tokens/{made['id']}")
    async with running_relay(tmp_path, admin=kept["token"]) as second:
        assert (await second.ask("GET", "/api/v1/tokens")).status == 200
        assert (await second.ask("GET", "/api/v1/tokens", token=made["token"])).status == 401


async def test_without_its_store_a_relay_lets_no_one_in(relay: Relay) -> None:
    await relay.parts.store.close()
    assert (await relay.ask("GET", "/api/v1/machines")).status == 503
    assert (await relay.ask("GET", "/readyz")).status == 503
    assert (await relay.ask("GET", "/healthz")).status == 200
