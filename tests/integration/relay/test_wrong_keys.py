"""Wrong keys count for the lock-out, and tell nobody which machines there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clove.relay.records import MachineRecord
from clove.relay.tokens.lockout import LockOutLimits
from tests.integration.relay.hub_peers import KEY, OTHER, asked, public
from tests.integration.relay.relays import Relay, running_relay


async def with_machine(relay: Relay) -> None:
    record = MachineRecord(machine_id="m1", public_key=public(KEY), created=0.0)
    await relay.parts.machines.add(record)


async def test_a_wrong_key_is_told_the_same_whether_there_is_the_machine_or_not(
    tmp_path: Path,
) -> None:
    """And the store is asked the same; so the time that an answer takes tells nothing either."""
    async with running_relay(tmp_path, lockout=LockOutLimits(failures=99)) as relay:
        await with_machine(relay)
        text = (await relay.made("/api/v1/tokens/join", {"machine_id": "m3"}))["token"]
        calls: list[str] = []
        store: Any = relay.parts.store
        run = store._run

        def noted(call: Any) -> Any:
            calls.append(call.__qualname__)
            return run(call)

        store._run = noted
        for more in ({}, {"join_token": text[:-1]}, {"join_token": text}):
            told = []
            for machine in ("m1", "m2"):
                before = len(calls)
                answer = await asked(relay, machine, OTHER, **more)
                told.append((json.dumps(answer), [*filter(_asks, calls[before:])]))
            assert told[0] == told[1], more
            assert json.loads(told[0][0])["type"] == "auth_error"


def _asks(call: str) -> bool:
    """What is written each second is not asked."""
    return "seen" not in call and "flag" not in call


@pytest.mark.parametrize(
    ("machine", "more"),
    [
        ("m1", {}),
        ("m2", {}),
        ("m1", {"signed_by": OTHER}),
        ("m2", {"join_token": "clove_join_x"}),
    ],
)
async def test_wrong_keys_and_join_tokens_lock_their_address_out(
    machine: str, more: dict[str, Any], tmp_path: Path
) -> None:
    async with running_relay(tmp_path, lockout=LockOutLimits(failures=3)) as relay:
        await with_machine(relay)
        wrong = KEY if "signed_by" in more else OTHER
        for _ in range(3):
            answer = await asked(relay, machine, wrong, **more)
            assert answer["code"] in ("wrong_key", "not_authenticated"), answer
        # the right one is not looked at now, nor is a token over REST
        assert (await asked(relay, "m1", KEY))["code"] == "locked_out"
        assert (await relay.ask("GET", "/api/v1/machines")).status == 429


async def test_a_machine_under_attack_comes_in_from_where_it_came_before(tmp_path: Path) -> None:
    limits = LockOutLimits(failures=99, machine_failures=3)
    async with running_relay(tmp_path, lockout=limits) as relay:
        await with_machine(relay)
        assert (await asked(relay, "m1", KEY))["type"] == "auth_ok"
        for number in range(4):
            relay.parts.tokens._lockout.failed(
                f"192.0.2.{number}", relay.parts._reactor.seconds(), "m1"
            )
        assert (await asked(relay, "m1", KEY))["type"] == "auth_ok"
        assert (await asked(relay, "m2", OTHER))["code"] == "wrong_key"


async def test_behind_a_trusted_proxy_each_client_has_its_own_address(tmp_path: Path) -> None:
    limits = LockOutLimits(failures=2)
    async with running_relay(tmp_path, proxies=["127.0.0.1"], lockout=limits) as relay:
        await with_machine(relay)
        bad: dict[bytes | str, bytes | str] = {"X-Forwarded-For": "127.0.0.1, 203.0.113.1"}
        good: dict[bytes | str, bytes | str] = {"Forwarded": "for=203.0.113.2"}
        for _ in range(2):
            assert (await relay.ask("GET", "/api/v1/status", token="x", headers=bad)).status == 401
        assert (await relay.ask("GET", "/api/v1/status", headers=bad)).status == 429
        assert (await relay.ask("GET", "/api/v1/status", headers=good)).status == 200
        head = "X-Forwarded-For: {}\r\n"
        out = await asked(relay, "m1", KEY, headers=head.format("203.0.113.1"))
        assert out["code"] == "locked_out"
        came = await asked(relay, "m1", KEY, headers=head.format("203.0.113.3"))
        assert came["type"] == "auth_ok"
        await relay.parts.machines.write_seen()
        machine = (await relay.ask("GET", "/api/v1/machines/m1")).json
        assert machine["ip_address"] == "203.0.113.3"


async def test_strangers_are_not_believed_where_they_say_they_come_from(tmp_path: Path) -> None:
    async with running_relay(tmp_path, lockout=LockOutLimits(failures=2)) as relay:
        await with_machine(relay)
        for number in range(2):
            headers: dict[bytes | str, bytes | str] = {"X-Forwarded-For": f"203.0.113.{number}"}
            await relay.ask("GET", "/api/v1/status", token="x", headers=headers)
        headers = {"X-Forwarded-For": "203.0.113.9"}
        assert (await relay.ask("GET", "/api/v1/status", headers=headers)).status == 429
        answer = await asked(relay, "m1", KEY, headers="X-Forwarded-For: 203.0.113.9\r\n")
        assert answer["code"] == "locked_out"


async def test_the_relays_own_page_may_ask_behind_a_proxy_that_does_tls(tmp_path: Path) -> None:
    async with running_relay(tmp_path, hosts=["relay.example"], proxies=["127.0.0.1"]) as relay:
        for origin, status in (
            ("https://relay.example", 200),
            ("https://evil.example", 403),
            ("null", 403),
        ):
            headers: dict[bytes | str, bytes | str] = {"Host": "relay.example", "Origin": origin}
            reply = await relay.ask("GET", "/api/v1/status", headers=headers)
            assert reply.status == status, origin
