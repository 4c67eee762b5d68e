"""How clients that we did not write open connections to a relay: what their libraries send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

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


def _machine_token(fleet: Fleet) -> str:
    made: dict[str, Any] = fleet.ask("POST", "/tokens/machine", {"machine_id": "old", "name": "n"})
    return str(made["token"])
