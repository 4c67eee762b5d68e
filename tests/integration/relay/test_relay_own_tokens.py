"""A token asks about itself, ends itself, and is replaced by another of the same scope."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.relay.relays import Relay

SCOPE = {
    "target_machines": ["m1", "m2"],
    "labels": {"env": "prod"},
    "permissions": {"level": "minimal"},
    "name": "ci",
    "expires_hours": 5.0,
}


async def test_a_token_sees_what_it_is_and_never_its_value(relay: Relay) -> None:
    made = await relay.made("/api/v1/tokens/agent", SCOPE)
    own = (await relay.ask("GET", "/api/v1/token", token=made["token"])).json
    assert (own["id"], own["type"], own["name"]) == (made["id"], "agent", "ci")
    assert "token" not in own
    found = (await relay.ask("GET", f"/api/v1/tokens/{made['id']}")).json
    assert {**found, "last_used": ""} == {**own, "last_used": ""}
    assert (await relay.ask("GET", f"/api/v1/tokens/{'0' * 16}")).status == 404


async def test_a_token_ends_itself_alone(relay: Relay) -> None:
    made = [await relay.made("/api/v1/tokens/agent", SCOPE) for _ in range(2)]
    reply = await relay.ask("DELETE", "/api/v1/token", token=made[0]["token"])
    assert (reply.status, reply.json["id"]) == (200, made[0]["id"])
    statuses = [
        (await relay.ask("GET", "/api/v1/status", token=each["token"])).status for each in made
    ]
    assert statuses == [401, 200]


@pytest.mark.parametrize("grace", [0, 60])
async def test_a_rotated_token_has_the_same_scope_and_the_old_one_its_grace(
    relay: Relay, grace: int
) -> None:
    old = await relay.made("/api/v1/tokens/agent", SCOPE)
    new = await relay.made(f"/api/v1/tokens/{old['id']}/rotate", {"grace_seconds": grace})
    same: tuple[str, ...] = ("type", "name", "target_machines", "labels", "permissions")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert (new["replaced"], new["id"] != old["id"]) == (old["id"], True)
    assert new["token"] != old["token"]

    async def status(token: Any) -> int:
        return (await relay.ask("GET", "/api/v1/token", token=token["token"])).status

    assert await status(new) == 200
    assert await status(old) == (200 if grace else 401)
    found = (await relay.ask("GET", f"/api/v1/tokens/{old['id']}")).json
    assert (found["expires_at"] == new["replaced_until"]) == bool(grace)
    assert bool(found["revoked_at"]) == (not grace)


async def test_a_grace_gives_no_token_more_time(relay: Relay) -> None:
    old = await relay.made("/api/v1/tokens/admin", {"expires_hours": 0.01})
    new = await relay.made(f"/api/v1/tokens/{old['id']}/rotate", {"grace_seconds": 86400})
    assert new["replaced_until"] == old["expires_at"]


async def test_what_is_not_valid_any_more_is_not_rotated(relay: Relay) -> None:
    old = await relay.made("/api/v1/tokens/admin")
    path = f"/api/v1/tokens/{old['id']}"
    await relay.ask("DELETE", path)
    before = len((await relay.ask("GET", "/api/v1/tokens")).json["tokens"])
    reply = await relay.ask("POST", f"{path}/rotate", {})
    assert (reply.status, reply.json["code"]) == (400, "invalid_request")
    assert len((await relay.ask("GET", "/api/v1/tokens")).json["tokens"]) == before


async def test_a_token_is_narrowed_and_never_widened(relay: Relay) -> None:
    made = await relay.made("/api/v1/tokens/agent", SCOPE)
    path = f"/api/v1/tokens/{made['id']}"
    changed = await relay.ask(
        "PATCH",
        path,
        {"target_machines": ["m2"], "labels": {}, "permissions": {"can_think": False}},
    )
    assert changed.status == 200, changed.json
    own = (await relay.ask("GET", "/api/v1/token", token=made["token"])).json
    assert (own["target_machines"], own["labels"]) == (["m2"], {})
    assert own["permissions"] == {"level": "minimal", "can_think": False}
    for wider in (
        {"target_machines": ["m1"]},
        {"labels": {"env": "prod"}},
        {"permissions": {"can_exec": True}},
        {"expires_hours": 6.0},
    ):
        refused = await relay.ask("PATCH", path, wider)
        assert (refused.status, refused.json["code"]) == (400, "invalid_request")
        assert refused.json["hint"]
    assert (await relay.ask("GET", path)).json["target_machines"] == ["m2"]


@pytest.mark.parametrize("kind", ["agent", "join"])
async def test_no_rotation_makes_a_token_without_end_of_a_kind_that_ends(
    relay: Relay, kind: str
) -> None:
    body = {"agent": SCOPE, "join": {"machine_id": "m1"}}[kind]
    old = await relay.made(f"/api/v1/tokens/{kind}", body)
    path = f"/api/v1/tokens/{old['id']}"
    reply = await relay.ask("POST", f"{path}/rotate", {"expires_hours": None})
    assert (reply.status, f"of kind {kind} expires" in reply.json["error"]) == (400, True)
    assert (await relay.ask("GET", path)).json["valid"] is True


@pytest.mark.parametrize("change", ["DELETE", "PATCH"])
async def test_what_is_revoked_or_narrowed_while_it_is_rotated_has_no_wider_successor(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    old = await relay.made("/api/v1/tokens/agent", SCOPE)
    path = f"/api/v1/tokens/{old['id']}"
    tokens = relay.parts.tokens
    issue = tokens.issue

    async def late(*args: Any, **given: Any) -> Any:
        body = {"target_machines": ["m1"]} if change == "PATCH" else None
        reply = await relay.ask(change, path, body)  # by another administrator
        assert reply.status == 200
        return await issue(*args, **given)

    monkeypatch.setattr(tokens, "issue", late)
    reply = await relay.ask("POST", f"{path}/rotate", {"grace_seconds": 60})
    assert (reply.status, reply.json["code"]) == (400, "invalid_request")
    every = (await relay.ask("GET", "/api/v1/tokens")).json["tokens"]
    valid = [each["id"] for each in every if each["type"] == "agent" and each["valid"]]
    assert valid == ([] if change == "DELETE" else [old["id"]])
