"""Attempts with wrong tokens stop being looked at."""

from __future__ import annotations

from pathlib import Path

from clove.relay.tokens.lockout import LockOutLimits
from tests.integration.relay.relays import running_relay


async def test_after_some_failures_a_valid_token_is_refused_as_a_wrong_one_is(
    tmp_path: Path,
) -> None:
    async with running_relay(tmp_path, lockout=LockOutLimits(failures=3)) as relay:
        for _ in range(3):
            assert (await relay.ask("GET", "/api/v1/machines", token="wrong")).status == 401
        wrong = await relay.ask("GET", "/api/v1/machines", token="wrong")
        right = await relay.ask("GET", "/api/v1/machines")
        for reply in (wrong, right):
            assert (reply.status, reply.json["code"]) == (429, "locked_out")
            assert 0 < int(reply.headers["retry-after"]) <= 60
        assert wrong.body == right.body or wrong.json["error"] == right.json["error"]
        assert (await relay.ask("GET", "/healthz")).status == 200


async def test_a_request_without_a_token_is_no_attempt(tmp_path: Path) -> None:
    async with running_relay(tmp_path, lockout=LockOutLimits(failures=1)) as relay:
        for _ in range(3):
            assert (await relay.ask("GET", "/api/v1/machines", token="")).status == 401
        assert (await relay.ask("GET", "/api/v1/machines")).status == 200
