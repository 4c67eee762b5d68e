"""Attack 21 at the hub: which token opens which end of a WebSocket, for which machine.

As in `test_relay_matrix.py`, what is expected is written down by hand; another kind of token, or of a first
message, fails until it has its lines.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec
import pytest
import pytest_twisted

from clove.messages.relay import AgentAuth, KernelAuth
from clove.relay.records import MachineRecord, TokenKind
from clove.relay.tokens import form
from clove.relay.tokens.lockout import LockOutLimits
from tests.integration.relay.hub_peers import KEY, OTHER, asked, in_hub, introduced, public
from tests.integration.relay.relays import Relay, running_relay

OWN: Final = "mine"
MACHINES: Final = (OWN, "other", "unknown")
TOKENS: Final = {
    "admin": ("admin", {}),
    "agent": ("agent", {"target_machine": OWN}),
    "agent by list": ("agent", {"target_machines": ["gone", OWN]}),
    "agent by label": ("agent", {"labels": {"for": OWN}}),
    "agent with less": ("agent", {"target_machine": OWN, "permissions": {"can_spawn": False}}),
    "agent elsewhere": ("agent", {"target_machine": "other"}),
    "label elsewhere": ("agent", {"labels": {"for": "other"}}),
    "label nowhere": ("agent", {"labels": {"for": OWN, "and": "more"}}),
    "machine": ("machine", {"machine_id": OWN}),
    "machine elsewhere": ("machine", {"machine_id": "other"}),
    "join": ("join", {"machine_id": OWN}),
    "join unknown": ("join", {"machine_id": "unknown"}),
}
INVALID: Final = ("none", "malformed", "mistyped", "unknown", "revoked", "expired")
BEARERS: Final = (*INVALID, *TOKENS)
REACHED: Final = {
    "admin": {OWN, "other"},
    "agent": {OWN},
    "agent by list": {OWN},
    "agent by label": {OWN},
    "agent with less": {OWN},
    "agent elsewhere": {"other"},
    "label elsewhere": {"other"},
}
"""Machines that remote agents may ask for; those that are not there are nobody's."""
SPOKEN_FOR: Final = {"machine": {OWN}, "machine elsewhere": {"other"}}
"""Machines that kernels of version 1 may be."""
JOINED: Final = {"join unknown": {"unknown"}}
"""Machines that a new key may become. Those that have one are nobody's any more."""


def test_every_kind_of_token_and_of_first_message_has_its_lines() -> None:
    assert {kind for kind, _ in TOKENS.values()} == {kind.value for kind in TokenKind}
    tags = {msgspec.inspect.type_info(each).tag for each in (KernelAuth, AgentAuth)}  # type: ignore[attr-defined] # of a struct
    assert tags == {"kernel_auth", "agent_auth"}
    for each in (KernelAuth, AgentAuth):
        secrets = {name for name in each.__struct_fields__ if "token" in name}
        assert secrets == ({"token", "join_token"} if each is KernelAuth else {"token"})


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def relay(tmp_path: Any) -> Any:
    many = LockOutLimits(failures=10_000, network_failures=10_000, machine_failures=10_000)
    async with running_relay(tmp_path, lockout=many) as running:
        for name, key in ((OWN, KEY), ("other", OTHER)):
            record = MachineRecord(
                machine_id=name, labels={"for": name}, public_key=public(key), created=0.0
            )
            await running.parts.machines.add(record)
        yield running


async def tokens_of(relay: Relay) -> dict[str, str]:
    found = {
        "none": "",
        "malformed": "clove_admin_",
        "unknown": form.make(TokenKind.ADMIN, bytes(32)),
    }
    found["mistyped"] = relay.admin[:-1] + ("a" if relay.admin[-1] != "a" else "b")
    for name, (kind, body) in TOKENS.items():
        found[name] = (await relay.made(f"/api/v1/tokens/{kind}", body))["token"]
    body = {"target_machine": OWN, "expires_hours": 1e-9}
    found["expired"] = (await relay.made("/api/v1/tokens/agent", body))["token"]
    made = await relay.made("/api/v1/tokens/admin")
    await relay.ask("DELETE", f"/api/v1/tokens/{made['id']}")
    found["revoked"] = made["token"]
    return found


@pytest.mark.parametrize("version", [1, 2])
async def test_a_remote_agent_gets_to_the_machines_of_its_token(version: int, relay: Relay) -> None:
    tokens = await tokens_of(relay)
    for bearer in BEARERS:
        for machine in MACHINES:
            fields: dict[str, Any] = {
                "name": "a",
                "token": tokens[bearer],
                "target_machine": machine,
                "protocol_version": version,
            }
            answer = await in_hub(relay, functools.partial(introduced, kind="agent_auth", **fields))
            if machine in REACHED.get(bearer, ()):
                expected = "unavailable"  # it gets so far: there is no tunnel
            else:
                expected = "not_authenticated" if bearer in INVALID else "permission_denied"
            assert answer.get("code") == expected, (bearer, machine, answer)
    assert relay.parts.hub.caller_count == 0


async def test_a_kernel_of_version_1_is_the_machine_of_its_token(relay: Relay) -> None:
    tokens = await tokens_of(relay)
    for bearer in BEARERS:
        for machine in MACHINES:
            fields: dict[str, Any] = {"machine_id": machine, "token": tokens[bearer]}
            answer = await in_hub(
                relay, functools.partial(introduced, kind="kernel_auth", **fields)
            )
            if machine in SPOKEN_FOR.get(bearer, ()):
                assert answer["type"] == "auth_ok", (bearer, machine, answer)
                continue
            expected = "not_authenticated" if bearer in INVALID else "permission_denied"
            assert answer.get("code") == expected, (bearer, machine, answer)


@pytest.mark.parametrize("field", ["token", "join_token"])
async def test_a_kernel_of_version_2_is_who_holds_the_key_and_no_token_helps(
    field: str, relay: Relay
) -> None:
    """Also the bearer's token of version 1, which is not for this."""
    tokens = await tokens_of(relay)
    keys = {OWN: OTHER, "other": KEY, "unknown": KEY}
    for bearer in BEARERS:
        for machine in MACHINES:
            answer = await asked(relay, machine, keys[machine], **{field: tokens[bearer]})
            if field == "join_token" and machine in JOINED.get(bearer, ()):
                assert answer["type"] == "auth_ok", (bearer, machine, answer)
                continue
            refused = ("wrong_key", "not_authenticated")
            assert answer.get("code") in refused, (bearer, machine, answer)
            assert answer["code"] == "wrong_key" or field == "join_token"
    for machine, key in ((OWN, KEY), ("other", OTHER)):
        assert (await asked(relay, machine, key))["type"] == "auth_ok"
