"""A computer gets a token that a person confirms with a code, and nobody else gets one by that."""

from __future__ import annotations

from typing import Any

from tests.integration.relay.relays import Relay

LOGINS = "/api/v1/logins"


async def begun(relay: Relay, name: str = "laptop") -> Any:
    reply = await relay.ask("POST", LOGINS, {"name": name}, token="")
    assert reply.status == 201, reply
    return reply.json


async def collect(relay: Relay, login: Any) -> Any:
    body = {"device_code": login["device_code"]}
    return await relay.ask("POST", f"{LOGINS}/token", body, token="")


async def test_a_confirmed_computer_gets_a_token_once(relay: Relay) -> None:
    login = await begun(relay)
    assert (await collect(relay, login)).json == {"status": "waiting", "token": None}
    path = f"{LOGINS}/{login['user_code']}"
    shown = (await relay.ask("GET", path)).json
    assert (shown["name"], shown["source"]) == ("laptop", "127.0.0.1")
    assert (await relay.ask("POST", f"{path}/confirm", {"expires_hours": 2.0})).status == 200
    found = (await collect(relay, login)).json
    assert found["status"] == "confirmed"
    token = found["token"]
    assert (token["type"], token["name"]) == ("admin", "laptop")
    own = await relay.ask("GET", "/api/v1/token", token=token["token"])
    assert (own.status, own.json["id"]) == (200, token["id"])
    assert (await collect(relay, login)).status == 404
    assert (await relay.ask("POST", f"{path}/confirm", {})).status == 404


async def test_no_token_is_made_before_it_is_collected(relay: Relay) -> None:
    login = await begun(relay)
    before = (await relay.ask("GET", "/api/v1/tokens")).json["tokens"]
    await relay.ask("POST", f"{LOGINS}/{login['user_code']}/confirm", {})
    assert len((await relay.ask("GET", "/api/v1/tokens")).json["tokens"]) == len(before)


async def test_a_refused_computer_gets_none_and_is_told(relay: Relay) -> None:
    login = await begun(relay)
    assert (await relay.ask("DELETE", f"{LOGINS}/{login['user_code']}")).status == 200
    assert (await relay.ask("POST", f"{LOGINS}/{login['user_code']}/confirm", {})).status == 409
    reply = await collect(relay, login)
    assert (reply.status, reply.json["rule"]) == (403, "login")


async def test_who_is_no_administrator_confirms_nothing(relay: Relay) -> None:
    """Neither the computer itself, nor a token of another kind, nor one that was revoked."""
    login = await begun(relay)
    path = f"{LOGINS}/{login['user_code']}"
    agent = (await relay.made("/api/v1/tokens/agent", {"target_machine": "m1"}))["token"]
    gone = await relay.made("/api/v1/tokens/admin")
    await relay.ask("DELETE", f"/api/v1/tokens/{gone['id']}")
    for token, status in (
        ("", 401),
        (login["device_code"], 401),
        (agent, 403),
        (gone["token"], 401),
    ):
        for method, more, body in (
            ("GET", "", None),
            ("POST", "/confirm", {}),
            ("DELETE", "", None),
        ):
            reply = await relay.ask(method, path + more, body, token=token)
            assert reply.status == status, reply
    assert (await collect(relay, login)).json["status"] == "waiting"


async def test_what_a_revoked_administrator_has_confirmed_counts_no_more(relay: Relay) -> None:
    login = await begun(relay)
    admin = await relay.made("/api/v1/tokens/admin")
    path = f"{LOGINS}/{login['user_code']}/confirm"
    assert (await relay.ask("POST", path, {}, token=admin["token"])).status == 200
    await relay.ask("DELETE", f"/api/v1/tokens/{admin['id']}")
    assert (await collect(relay, login)).status == 401
    assert (await collect(relay, login)).status == 404


async def test_the_code_on_the_screen_is_no_secret_of_the_computers(relay: Relay) -> None:
    login = await begun(relay)
    await relay.ask("POST", f"{LOGINS}/{login['user_code']}/confirm", {})
    for guess in (login["user_code"], login["device_code"][:-1], "", "x" * 128):
        assert (await collect(relay, {"device_code": guess})).status == 404
    assert (await collect(relay, login)).status == 200


async def test_an_address_that_asks_again_and_again_keeps_few_waiting(relay: Relay) -> None:
    first = await begun(relay)
    others = [await begun(relay, str(number)) for number in range(4)]
    assert (await collect(relay, first)).status == 404
    assert [(await collect(relay, each)).status for each in others] == [200] * 4


async def test_no_name_of_a_computer_is_more_than_a_line(relay: Relay) -> None:
    for name in ("a\nb", "x" * 129, "\x1b[2J"):
        assert (await relay.ask("POST", LOGINS, {"name": name}, token="")).status == 400
