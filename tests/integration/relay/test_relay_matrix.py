"""Attack 21: which kind of token may call which route, on whose behalf.

The expected answers are written down here once more, by hand: a new route without a line fails, and so
does one whose line in the relay's own table was loosened by mistake.
"""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
import pytest_twisted

from clove.relay.records import TokenKind
from clove.relay.rest.route import Route
from clove.relay.rest.table import ROUTES
from clove.relay.tokens import form
from tests.integration.relay.relays import Relay

PUBLIC: Final = "none admin agent machine join"
SEEING: Final = "admin agent machine"
REACHING: Final = "admin agent"
ADMIN: Final = "admin"
EXPECTED: Final = {
    "GET /api/v1/health": PUBLIC,
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /api/v1/openapi.json": PUBLIC,
    "GET /api/v1/docs": PUBLIC,
    "GET /": PUBLIC,
    "GET /page/<name>": PUBLIC,
    "GET /metrics": ADMIN,
    "GET /api/v1/status": SEEING,
    "GET /api/v1/machines": SEEING,
    "POST /api/v1/machines": ADMIN,
    "GET /api/v1/machines/<machine_id>": SEEING,
    "PATCH /api/v1/machines/<machine_id>": ADMIN,
    "DELETE /api/v1/machines/<machine_id>": ADMIN,
    "GET /api/v1/agents": SEEING,
    "GET /api/v1/machines/<machine_id>/agents": REACHING,
    "POST /api/v1/agents/deploy": REACHING,
    "POST /api/v1/agents/<agent_id>/stop": REACHING,
    "GET /api/v1/agents/<agent_id>/logs": REACHING,
    "GET /api/v1/agents/<agent_id>/stream": REACHING,
    "GET /api/v1/audit": ADMIN,
    "GET /api/v1/token": SEEING,
    "DELETE /api/v1/token": SEEING,
    "GET /api/v1/tokens": ADMIN,
    "GET /api/v1/tokens/<token_id>": ADMIN,
    "PATCH /api/v1/tokens/<token_id>": ADMIN,
    "POST /api/v1/tokens/<token_id>/rotate": ADMIN,
    "POST /api/v1/tokens/machine": ADMIN,
    "POST /api/v1/tokens/join": ADMIN,
    "POST /api/v1/tokens/agent": ADMIN,
    "POST /api/v1/tokens/admin": ADMIN,
    "DELETE /api/v1/tokens/<token_id>": ADMIN,
    "POST /api/v1/logins": PUBLIC,
    "POST /api/v1/logins/token": PUBLIC,
    "GET /api/v1/logins/<user_code>": ADMIN,
    "POST /api/v1/logins/<user_code>/confirm": ADMIN,
    "DELETE /api/v1/logins/<user_code>": ADMIN,
}
DEPLOYMENT: Final = {"machine_id": "mine", "script_name": "x.py", "script_content": "pass"}
BEARERS: Final = (
    *("none", "admin", "agent", "machine", "join"),
    *("agent by list", "agent by label", "agent elsewhere", "label elsewhere", "machine elsewhere"),
    *("revoked", "expired", "unknown", "mistyped", "basic", "twice"),
)


class Fleet:
    """Two machines, and a token of each kind for the first."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.tokens: dict[str, str] = {"none": ""}
        self.ids: dict[str, str] = {}
        self.login: dict[str, Any] = {}

    async def populate(self) -> None:
        relay, tokens = self.relay, self.tokens
        for name in ("mine", "other"):
            await relay.made("/api/v1/machines", {"machine_id": name, "labels": {"for": name}})
        for kind, body in (
            ("admin", {"name": "second"}),
            ("agent", {"target_machine": "mine"}),
            ("machine", {"machine_id": "mine"}),
            ("join", {"machine_id": "mine"}),
            ("agent by list", {"target_machines": ["none", "mine"]}),
            ("agent by label", {"labels": {"for": "mine"}}),
            ("agent elsewhere", {"target_machine": "other"}),
            ("agent at the label elsewhere", {"labels": {"for": "other"}}),
            ("machine elsewhere", {"machine_id": "other"}),
        ):
            made = await relay.made(f"/api/v1/tokens/{kind.split()[0]}", body)
            tokens[kind], self.ids[kind] = made["token"], made["id"]
        self.login = await relay.made("/api/v1/logins", {"name": "laptop"})
        tokens["label elsewhere"] = tokens.pop("agent at the label elsewhere")
        made = await relay.made("/api/v1/tokens/admin")
        tokens["revoked"], self.ids["revoked"] = made["token"], made["id"]
        await relay.ask("DELETE", f"/api/v1/tokens/{made['id']}")
        expired = await relay.made("/api/v1/tokens/admin", {"expires_hours": 1e-9})
        tokens["expired"] = expired["token"]
        tokens["unknown"] = form.make(TokenKind.ADMIN, bytes(form.ENTROPY))
        tokens["mistyped"] = tokens["admin"][:-1] + ("a" if tokens["admin"][-1] != "a" else "b")

    def headers(self, bearer: str) -> Any:
        admin = self.tokens["admin"]
        if bearer == "basic":
            return {"Authorization": f"Basic {admin}"}
        if bearer == "twice":
            return {"Authorization": [f"Bearer {self.tokens['machine']}", f"Bearer {admin}"]}
        return {"Authorization": f"Bearer {self.tokens[bearer]}"} if bearer != "none" else {}


@pytest_twisted.async_fixture  # type: ignore[untyped-decorator]
async def fleet(relay: Relay) -> Fleet:
    found = Fleet(relay)
    await found.populate()
    return found


def body_of(route: Route, fleet: Fleet) -> dict[str, Any] | None:
    """One that would be served."""
    bodies: dict[str, dict[str, Any]] = {
        "/api/v1/machines": {"machine_id": "made"},
        "/api/v1/machines/<machine_id>": {"name": "changed"},
        "/api/v1/agents/deploy": DEPLOYMENT,
        "/api/v1/agents/<int:agent_id>/stop": {"machine_id": "mine"},
        "/api/v1/tokens/machine": {"machine_id": "mine"},
        "/api/v1/tokens/join": {"machine_id": "mine"},
        "/api/v1/tokens/agent": {"target_machine": "mine"},
        "/api/v1/tokens/admin": {},
        "/api/v1/tokens/<string(length=16):token_id>": {},
        "/api/v1/tokens/<string(length=16):token_id>/rotate": {},
        "/api/v1/logins": {"name": "laptop"},
        "/api/v1/logins/token": {"device_code": fleet.login["device_code"]},
        "/api/v1/logins/<string(length=9):user_code>/confirm": {},
    }
    return None if route.body is None else bodies[route.path]


def name_of(route: Route) -> str:
    return f"{route.method} {re.sub('<.*:', '<', route.path)}"


def test_every_route_has_its_line() -> None:
    assert {name_of(route) for route in ROUTES} == set(EXPECTED)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_a_route_serves_these_kinds_and_no_others(route: Route, fleet: Fleet) -> None:
    allowed = EXPECTED[name_of(route)].split()
    path = name_of(route).split()[1]
    path = path.replace("<machine_id>", "mine").replace("<token_id>", fleet.ids["join"])
    path = path.replace("<agent_id>", "1").replace("<name>", "app.js")
    path = path.replace("<user_code>", fleet.login["user_code"])
    if path.endswith(("/logs", "/stream")):
        path += "?machine_id=mine"
    # What goes through a tunnel gets so far; the machine is not connected.
    served = 503 if EXPECTED[name_of(route)] == REACHING else route.status
    # An administrator comes last: what it removes would be missed.
    for bearer in sorted(BEARERS, key=lambda each: each == "admin"):
        reply = await fleet.relay.ask(
            route.method, path, body_of(route, fleet), token="", headers=fleet.headers(bearer)
        )
        kind = "agent" if bearer.startswith("label") else bearer.split()[0]
        if bearer in allowed or "none" in allowed:
            assert reply.status == served, (bearer, reply)
        elif bearer.endswith("elsewhere") and kind in allowed:
            # another owner's: lists are its own, and of this machine it is told what is told of none
            mine = "<machine_id>" in route.path or EXPECTED[name_of(route)] == REACHING
            assert reply.status == (404 if mine else 200), (bearer, reply)
            assert b"mine" not in reply.body
        elif kind in allowed:
            assert reply.status == served, (bearer, reply)
        elif kind in ("agent", "machine", "join"):
            assert (reply.status, reply.json["code"]) == (403, "permission_denied"), (bearer, reply)
        else:
            assert (reply.status, reply.json["code"]) == (401, "not_authenticated"), (bearer, reply)
            assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("kind", ["machine", "agent"])
async def test_a_token_sees_its_own_machines_alone(kind: str, fleet: Fleet) -> None:
    ask, token = fleet.relay.ask, fleet.tokens[kind]
    listed = (await ask("GET", "/api/v1/machines", token=token)).json["machines"]
    assert [each["machine_id"] for each in listed] == ["mine"]
    assert (await ask("GET", "/api/v1/machines/mine", token=token)).status == 200
    hidden = await ask("GET", "/api/v1/machines/other", token=token)
    missing = await ask("GET", "/api/v1/machines/none", token=token)
    assert (hidden.status, hidden.body) == (404, missing.body)
    assert (await ask("GET", "/api/v1/status", token=token)).json["machines"] == 1


async def test_a_token_reaches_its_own_machines_alone(fleet: Fleet) -> None:
    """Of others it is not told whether they are there, connected or not."""
    ask, token = fleet.relay.ask, fleet.tokens["agent"]
    for machine, status in (("mine", 503), ("other", 404), ("none", 404)):
        body = {**DEPLOYMENT, "machine_id": machine}
        assert (await ask("POST", "/api/v1/agents/deploy", body, token=token)).status == status
        path = f"/api/v1/machines/{machine}/agents"
        assert (await ask("GET", path, token=token)).status == status
        path = f"/api/v1/agents/1/logs?machine_id={machine}"
        for more in ("", "&follow=true"):
            assert (await ask("GET", path + more, token=token)).status == status


async def test_labels_choose_what_an_agents_token_sees(fleet: Fleet) -> None:
    made = await fleet.relay.made("/api/v1/tokens/agent", {"labels": {"for": "other"}})
    listed = await fleet.relay.ask("GET", "/api/v1/machines", token=made["token"])
    assert [each["machine_id"] for each in listed.json["machines"]] == ["other"]


@pytest.mark.parametrize("kind", ["agent", "machine", "join"])
async def test_no_token_makes_itself_more(kind: str, fleet: Fleet) -> None:
    ask, token = fleet.relay.ask, fleet.tokens[kind]
    before = (await ask("GET", "/api/v1/tokens")).json["tokens"]
    for made in ("machine", "join", "agent", "admin"):
        body = {"machine_id": "other"} if made in ("machine", "join") else {"labels": {"a": "b"}}
        reply = await ask(
            "POST", f"/api/v1/tokens/{made}", {} if made == "admin" else body, token=token
        )
        assert reply.status == 403
    for other in fleet.ids.values():
        assert (await ask("DELETE", f"/api/v1/tokens/{other}", token=token)).status == 403
    patched = await ask("PATCH", "/api/v1/machines/mine", {"labels": {"for": "other"}}, token=token)
    assert patched.status == 403
    after = (await ask("GET", "/api/v1/tokens")).json["tokens"]
    assert [(each["id"], each["valid"]) for each in after] == [
        (each["id"], each["valid"]) for each in before
    ]


async def test_a_machine_is_spoken_for_by_its_own_tokens_alone(fleet: Fleet) -> None:
    """What the hub asks before it lets a caller through."""
    machines, tokens = fleet.relay.parts.machines, fleet.relay.parts.tokens
    expected = {
        "admin": {"mine", "other"},
        "agent": {"mine"},
        "machine": set(),
        "join": set(),
    }
    for kind, reached in expected.items():
        identity = await tokens.identify(fleet.tokens[kind], "192.0.2.1")
        found = {
            name for name in ("mine", "other", "none") if await machines.may_reach(identity, name)
        }
        assert found == reached, kind
