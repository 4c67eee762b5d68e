"""How clients that we did not write open connections to a relay: what their libraries send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.peer import Peer
from tests.integration.conftest import running_kernel
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.peer_v1 import PeerV1

OFFERS = (
    # Python's websockets, Node and browsers, and ws of npm, say these by default.
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
    "permessage-bzip2, permessage-deflate",
    "x-webkit-deflate-frame",
)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.mark.parametrize("offer", OFFERS)
def test_an_offered_extension_is_declined_and_the_connection_serves(
    fleet: Fleet, offer: str
) -> None:
    with PeerV1(fleet.hub_port, f"Sec-WebSocket-Extensions: {offer}\r\n") as peer:
        assert peer.status == 101
        assert "sec-websocket-extensions" not in peer.head.lower()
        peer.say("kernel_auth", machine_id="old", token=_machine_token(fleet))
        assert peer.hear() == {"type": "auth_ok", "machine_id": "old"}
        peer.say("ping")
        assert peer.hear() == {"type": "pong"}


def test_an_origin_that_repeats_where_it_connects_to_is_no_browsers(fleet: Fleet) -> None:
    """Python's websocket-client sends that by default."""
    with PeerV1(fleet.hub_port, f"Origin: http://127.0.0.1:{fleet.hub_port}\r\n") as peer:
        assert peer.status == 101
        peer.say("kernel_auth", machine_id="old", token=_machine_token(fleet))
        assert peer.hear() == {"type": "auth_ok", "machine_id": "old"}


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://127.0.0.1", "", "file://"]
)
def test_any_other_origin_is_refused(fleet: Fleet, origin: str) -> None:
    with PeerV1(fleet.hub_port, f"Origin: {origin}\r\n") as peer:
        assert peer.status in (400, 403)


def test_a_name_that_is_made_to_resolve_to_the_relay_is_refused_as_origin(fleet: Fleet) -> None:
    evil = f"evil.example:{fleet.hub_port}"
    with PeerV1(fleet.hub_port, f"Origin: http://{evil}\r\n", host=evil) as peer:
        assert peer.status in (400, 403)


def _machine_token(fleet: Fleet) -> str:
    made: dict[str, Any] = fleet.ask("POST", "/tokens/machine", {"machine_id": "old", "name": "n"})
    return str(made["token"])


def test_a_kernel_comes_in_by_the_token_that_its_machine_was_made_with(fleet: Fleet) -> None:
    """As the page has it: POST machines gives a token, and TUNNEL_CONNECT takes one."""
    made = fleet.ask("POST", "/machines", {"machine_id": "made"})
    with running_kernel() as kernel, Peer(kernel.socket) as operator:
        request = {"relay_url": fleet.url, "machine_id": "made", "token": made["token"]}
        for _ in range(2):  # the second time by the key that it has then
            reply = operator.call(0xB0, request).json()
            assert reply["success"], reply
            status = operator.call(0xB2).json()
            assert (status["connected"], status["machine_id"]) == (True, "made")
            assert fleet.ask("GET", "/machines/made")["status"] == "connected"
            with PeerV1(fleet.hub_port) as agent:
                token = fleet.agent_token("made")
                agent.say("agent_auth", name="far", token=token, target_machine="made")
                assert agent.hear()["type"] == "auth_ok"
                assert agent.ask(0x23, {"name": "far"})["success"]
                assert operator.call(0xB3).json()["count"] == 1
            assert operator.call(0xB1).json()["success"]


def test_a_machines_token_brings_no_second_key(fleet: Fleet) -> None:
    made = fleet.ask("POST", "/machines", {"machine_id": "once"})
    request = {"relay_url": fleet.url, "machine_id": "once", "token": made["token"]}
    with running_kernel() as first, Peer(first.socket) as operator:
        assert operator.call(0xB0, request).json()["success"]
    with running_kernel() as second, Peer(second.socket) as operator:
        reply = operator.call(0xB0, request).json()
        assert (reply["success"], reply["connected"]) == (False, False)
        assert "not known here by that key" in reply["error"]


def test_null_in_a_first_message_counts_as_absent(fleet: Fleet) -> None:
    token = _machine_token(fleet)
    with PeerV1(fleet.hub_port) as peer:
        peer.say("kernel_auth", machine_id="old", token=token, protocol_version=None, session=None)
        assert peer.hear() == {"type": "auth_ok", "machine_id": "old"}


@pytest.mark.parametrize("fields", [{}, {"name": None}, {"name": ""}, {"name": 7}])
def test_a_first_message_that_lacks_something_is_told_what(
    fleet: Fleet, fields: dict[str, Any]
) -> None:
    with PeerV1(fleet.hub_port) as peer:
        peer.say("agent_auth", token="t", target_machine="old", **fields)
        answer = peer.hear()
        assert (answer["type"], answer["code"]) == ("auth_error", "invalid_request")
        assert "name" in answer["error"]
