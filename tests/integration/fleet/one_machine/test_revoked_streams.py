"""A reader that takes nothing holds no stream open when its token is revoked (attack 22)."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
from typing import Any

import pytest

from clove.client.fleet import FleetClient
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.test_streams import FLOOD
from tests.waiting import until


@pytest.fixture
def token(admin: FleetClient) -> dict[str, Any]:
    return admin.issue_token("agent", target_machine="one")


def flooding(fleet: Fleet, token: dict[str, Any]) -> str:
    """The path of the stream of an agent that writes much."""
    client = fleet.api(token["token"])
    made = client.deploy("one", "work.py", FLOOD, args=["1000"], attach=True)
    return f"/api/v1/agents/{made['agent_id']}/stream?machine_id=one&attach=true"


def unread(connection: socket.socket) -> int:
    """Bytes that have come."""
    return int(struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))[0])


def test_events_that_are_not_read_end_in_a_closed_connection(
    admin: FleetClient, fleet: Fleet, token: dict[str, Any]
) -> None:
    path = flooding(fleet, token)
    with socket.create_connection(("127.0.0.1", fleet.rest_port), 20) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{fleet.rest_port}\r\n"
            f"Authorization: Bearer {token['token']}\r\n\r\n".encode()
        )
        seen = [0] * 20

        def is_full() -> bool:
            seen.append(unread(connection))
            return seen[-1] > 0 and len(set(seen[-20:])) == 1

        until(is_full, "nothing more fits")
        admin.revoke_token(token["id"])
        until(
            lambda: connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET,
            "the relay has cut the connection",
        )
