"""What is refused is in the audit, for administrators, and no secret with it."""

from __future__ import annotations

from typing import Any

from clove.relay.records import TokenKind
from clove.relay.tokens import form
from tests.integration.relay.relays import Relay


async def audit(relay: Relay, query: str = "") -> list[dict[str, Any]]:
    reply = await relay.ask("GET", f"/api/v1/audit{query}")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.json["entries"]
    return found


async def test_refused_tokens_routes_and_sites_are_noted(relay: Relay) -> None:
    await relay.made("/api/v1/machines", {"machine_id": "m1"})
    made = await relay.made("/api/v1/tokens/agent", {"target_machine": "m1"})
    wrong = form.make(TokenKind.ADMIN, bytes(form.ENTROPY))
    await relay.ask("GET", "/api/v1/tokens", token=wrong)
    await relay.ask("GET", "/api/v1/tokens", token=wrong)
    await relay.ask("DELETE", "/api/v1/machines/m1", token=made["token"])
    await relay.ask("GET", "/", headers={"Origin": "https://evil.example"}, token="")
    site, route, token = await audit(relay)
    assert (token["kind"], token["count"], token["what"]) == ("token", 2, "GET /api/v1/tokens")
    assert (token["source"], token["token_id"], token["code"]) == (
        "127.0.0.1",
        "",
        "not_authenticated",
    )
    assert (route["kind"], route["token_id"], route["machine_id"], route["rule"]) == (
        "route",
        made["id"],
        "m1",
        "token kind",
    )
    assert (site["kind"], site["rule"]) == ("site", "origin")
    reply = await relay.ask("GET", "/api/v1/audit")
    for secret in (wrong, made["token"], relay.admin):
        assert secret.encode() not in reply.body


async def test_it_comes_in_pages_by_kind_and_by_machine(relay: Relay) -> None:
    made = await relay.made("/api/v1/tokens/machine", {"machine_id": "m1"})
    for machine in ("m1", "m2", "m3"):
        await relay.ask("DELETE", f"/api/v1/machines/{machine}", token=made["token"])
    await relay.ask("GET", "/api/v1/tokens", token="clove_nonsense")
    assert [each["machine_id"] for each in await audit(relay, "?kind=route&limit=2")] == [
        "m3",
        "m2",
    ]
    page = (await relay.ask("GET", "/api/v1/audit?kind=route&limit=2")).json
    rest = (await relay.ask("GET", f"/api/v1/audit?kind=route&before={page['next']}")).json
    assert [each["machine_id"] for each in rest["entries"]] == ["m1"]
    assert rest["next"] == 0
    assert [each["machine_id"] for each in await audit(relay, "?machine_id=m2")] == ["m2"]
    for wrong in ("kind=x", "limit=0", "before=-1", "since=1"):
        assert (await relay.ask("GET", f"/api/v1/audit?{wrong}")).status == 400
