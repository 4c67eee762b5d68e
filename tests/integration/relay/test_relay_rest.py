"""The REST API does what the contract says, and says what is wrong."""

from __future__ import annotations

import base64
import hashlib
import re

from clove.relay.rest.table import ROUTES
from tests.integration.relay.relays import Relay


async def test_health_needs_no_token(relay: Relay) -> None:
    for path in ("/api/v1/health", "/healthz", "/readyz", "/api/v1/openapi.json"):
        assert (await relay.ask("GET", path, token="")).status == 200
    assert (await relay.ask("GET", "/api/v1/health")).json["status"] == "ok"


async def test_a_machine_is_registered_listed_changed_and_removed(relay: Relay) -> None:
    made = await relay.made(
        "/api/v1/machines", {"machine_id": "m1", "provider": "aws", "metadata": {"rack": 4}}
    )
    assert made["machine_id"] == "m1"
    assert made["token"].startswith("clove_machine_")
    [shown] = (await relay.ask("GET", "/api/v1/machines")).json["machines"]
    assert shown == (await relay.ask("GET", "/api/v1/machines/m1")).json
    expected = {
        "machine_id": "m1",
        "provider": "aws",
        "status": "disconnected",
        "presence": "disconnected",
        "ip_address": "",
        "last_seen": None,
        "metadata": {"rack": 4},
        "created_at": made["created_at"],
    }
    assert expected.items() <= shown.items()
    changed = await relay.ask(
        "PATCH", "/api/v1/machines/m1", {"name": "front", "draining": True, "labels": {"env": "x"}}
    )
    assert (changed.json["name"], changed.json["draining"]) == ("front", True)
    assert changed.json["metadata"] == {"rack": 4}
    assert (await relay.ask("DELETE", "/api/v1/machines/m1")).status == 200
    assert (await relay.ask("DELETE", "/api/v1/machines/m1")).status == 404
    assert (await relay.ask("GET", "/api/v1/machines", token=made["token"])).status == 401


async def test_fields_that_a_client_of_the_contract_adds_are_ignored(relay: Relay) -> None:
    await relay.made("/api/v1/machines", {"machine_id": "m1", "region": "eu", "tags": []})


async def test_tokens_are_issued_once_and_listed_without_their_values(relay: Relay) -> None:
    made = await relay.made("/api/v1/tokens/agent", {"target_machine": "m1", "name": "nightly"})
    assert {"type": "agent", "name": "nightly", "target_machine": "m1"}.items() <= made.items()
    for kind in ("machine", "join"):
        await relay.made(f"/api/v1/tokens/{kind}", {"machine_id": "m1"})
    await relay.made("/api/v1/tokens/admin", {"name": "second"})
    listed = await relay.ask("GET", "/api/v1/tokens")
    assert sorted(each["type"] for each in listed.json["tokens"]) == [
        "admin",
        "admin",
        "agent",
        "join",
        "machine",
    ]
    assert b"clove_" not in listed.body
    assert made["token"].split("_")[2].encode() not in listed.body


async def test_lists_come_in_pages(relay: Relay) -> None:
    for name in ("a", "b", "c"):
        await relay.made("/api/v1/machines", {"machine_id": name})
    first = (await relay.ask("GET", "/api/v1/machines?limit=2")).json
    assert [each["machine_id"] for each in first["machines"]] == ["a", "b"]
    rest = (await relay.ask("GET", f"/api/v1/machines?limit=2&after={first['next']}")).json
    assert [each["machine_id"] for each in rest["machines"]] == ["c"]
    assert rest["next"] == ""
    assert (await relay.ask("GET", "/api/v1/machines?limit=0")).status == 400
    assert (await relay.ask("GET", "/api/v1/machines?limt=1")).status == 400


async def test_errors_are_problem_details_with_the_contracts_fields(relay: Relay) -> None:
    for method, path, body, status in (
        ("GET", "/api/v1/machines/none", None, 404),
        ("GET", "/nothing", None, 404),
        ("PUT", "/api/v1/machines", {}, 405),
        ("POST", "/api/v1/machines", {"machine_id": "../x"}, 400),
        ("POST", "/api/v1/machines", b"{", 400),
        ("POST", "/api/v1/machines", b"\xff", 400),
        ("POST", "/api/v1/machines", b"[" * 100_000, 400),
        ("POST", "/api/v1/tokens/agent", {"name": "no target"}, 400),
        ("POST", "/api/v1/tokens/agent", {"target_machine": "m1", "expires_hours": -1}, 400),
        ("POST", "/api/v1/tokens/agent", {"target_machine": "m", "permissions": {"can": 1}}, 400),
        ("POST", "/api/v1/tokens/agent", {"target_machine": "m1", "permisions": {}}, 400),
        ("POST", "/api/v1/machines", {"machine_id": "m", "metadata": {"a": "x" * 9000}}, 413),
    ):
        reply = await relay.ask(method, path, body)
        assert reply.status == status, (path, reply)
        assert reply.headers["content-type"] == "application/problem+json"
        problem = reply.json
        assert problem["status"] == status
        assert problem["error"] == problem["detail"]
        assert problem["code"]
        assert problem["hint"]


async def test_a_method_that_is_not_allowed_says_which_are(relay: Relay) -> None:
    reply = await relay.ask("PUT", "/api/v1/machines/m1", {})
    assert (reply.status, reply.headers["allow"]) == (405, "DELETE, GET, HEAD, PATCH")


async def test_head_has_the_headers_alone(relay: Relay) -> None:
    reply = await relay.ask("HEAD", "/api/v1/health")
    assert (reply.status, reply.body) == (200, b"")


async def test_status_counts_what_the_token_may_see(relay: Relay) -> None:
    made = await relay.made("/api/v1/machines", {"machine_id": "m1"})
    await relay.made("/api/v1/machines", {"machine_id": "m2"})
    assert (await relay.ask("GET", "/api/v1/status")).json["machines"] == 2
    assert (await relay.ask("GET", "/api/v1/status", token=made["token"])).json["machines"] == 1


async def test_an_odd_query_is_refused_or_taken_as_it_is(relay: Relay) -> None:
    await relay.made("/api/v1/machines", {"machine_id": "m1"})
    for query, status in (
        ("after=%C2%80", 200),
        ("after=%ff", 400),
        ("%C2%80=", 400),
        ("&&=&", 400),
    ):
        assert (await relay.ask("GET", f"/api/v1/machines?{query}")).status == status, query


async def test_a_refused_head_has_no_body(relay: Relay) -> None:
    reply = await relay.ask("HEAD", "/api/v1/health", headers={"Origin": "http://evil.example"})
    assert (reply.status, reply.body) == (403, b"")


async def test_the_document_can_be_read_as_a_page_without_scripts(relay: Relay) -> None:
    reply = await relay.ask("GET", "/api/v1/docs", token="")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")
    text = reply.body.decode()
    assert "<script" not in text
    for route in (route for route in ROUTES if route.in_document):
        assert f"<b>{route.method}</b>" in text
        assert re.sub("<[^>]*?(\\w+)>", r"{\1}", route.path) in text
    style = text.partition("<style>")[2].partition("</style>")[0]
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{hashed}'" in reply.headers["content-security-policy"]


async def test_a_path_that_is_no_utf_8_is_the_clients_fault_and_in_no_log(relay: Relay) -> None:
    for path in ("/%ff", "/api/v1/machines/%ff", "/api/v1/machines/%c3%28"):
        for method in ("GET", "POST", "HEAD"):
            reply = await relay.ask(method, path, token="")
            assert reply.status == 400
            assert method == "HEAD" or reply.json["code"] == "invalid_request"


async def test_idempotency_keys_that_begin_alike_are_not_taken_for_one(relay: Relay) -> None:
    body = {"machine_id": "m1", "script_name": "x.py", "script_content": ""}
    for length, status in ((256, 404), (257, 400)):
        headers: dict[bytes | str, bytes | str] = {"Idempotency-Key": "k" * length}
        reply = await relay.ask("POST", "/api/v1/agents/deploy", body, headers=headers)
        assert reply.status == status, reply
