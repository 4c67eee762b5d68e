"""Attack 23: what a page of another site has a browser send is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.relay.relays import Relay, running_relay


@pytest.mark.parametrize("path", ["/api/v1/machines", "/healthz", "/nothing", "/metrics"])
async def test_a_foreign_host_or_origin_is_refused_everywhere(path: str, relay: Relay) -> None:
    own = f"127.0.0.1:{relay.port}"
    refused: list[dict[bytes | str, bytes | str]] = [
        {"Host": "evil.example"},
        {"Host": f"evil.example:{relay.port}"},
        {"Host": f"localhost.evil.example:{relay.port}"},
        {"Host": "user@127.0.0.1"},
        {"Host": "127.0.0.1/evil"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{own}"},
        {"Origin": f"http://{own}.evil.example"},
        {"Origin": "http://localhost:1"},
    ]
    for headers in refused:
        reply = await relay.ask("GET", path, headers=headers)
        assert (reply.status, reply.json["code"]) == (403, "permission_denied"), headers
        assert "access-control-allow-origin" not in reply.headers


async def test_its_own_names_and_page_are_served(tmp_path: Path) -> None:
    async with running_relay(tmp_path, hosts=["relay.example.org"]) as relay:
        own = f"127.0.0.1:{relay.port}"
        served: list[dict[bytes | str, bytes | str]] = [
            {"Origin": f"http://{own}"},
            {"Host": "localhost"},
            {"Host": "[::1]:8766"},
            {"Host": "Relay.Example.ORG"},
            {"Host": "relay.example.org:8766", "Origin": "http://relay.example.org:8766"},
        ]
        for headers in served:
            assert (await relay.ask("GET", "/api/v1/machines", headers=headers)).status == 200


async def test_a_preflight_is_told_nothing(relay: Relay) -> None:
    reply = await relay.ask(
        "OPTIONS",
        "/api/v1/machines",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]
