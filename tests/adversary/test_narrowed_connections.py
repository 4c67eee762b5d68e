"""Connections that an agent keeps from before it was narrowed, its own and those of its child."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.adversary.arena import Arena

HOLDS = """
import socket, sys
from clove import CloveClient

with CloveClient() as client:
    [mail] = client.recv_messages(wait=30, max=1)["messages"]
    held = socket.create_connection(("api.test", int(sys.argv[2])), timeout=30)
    client.send_message("connected", to=mail["from"])
    try:
        outcome = repr(held.recv(1))
    except OSError as error:
        outcome = type(error).__name__
    client.send_message(outcome, to=mail["from"])
    client.recv_messages(wait=50)
"""
PARENT = """
import sys
from clove import CloveClient

with CloveClient() as client:
    with open("/workspace/holds.py", "w") as file:
        file.write(sys.argv[3])
    child = client.spawn("holder", "/workspace/holds.py", args=[sys.argv[2]], network=True)
    [mail] = client.recv_messages(wait=30, max=1)["messages"]
    client.send_message(child["id"], to=mail["from"])
    client.recv_messages(wait=50)
"""


@pytest.mark.parametrize("family", [False, True], ids=["itself", "its child"])
def test_a_connection_ends_that_is_allowed_no_more(here: Arena, family: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = str(server.getsockname()[1])
        rules = [f"{host}:{port}" for host in ("127.0.0.1", "open.test", "api.test")]
        grants = {"can_spawn": True, "allowed_domains": rules}
        fields: dict[str, Any] = {"network": True, "permissions": grants}
        if family:
            first = here.begin(PARENT, port, HOLDS, **fields)["id"]
            holder = here.say(first, "spawn")
        else:
            first = holder = here.begin(HOLDS, port, **fields)["id"]
        assert here.say(holder, "connect") == "connected"
        outside, _ = server.accept()
        with outside:
            outside.settimeout(30)
            narrower = {"allowed_domains": rules[:2]}
            here.client.set_permissions(agent_id=first, permissions=narrower)
            [mail] = here.client.recv_messages(wait=30, max=1)["messages"]
            assert mail["message"] == "ConnectionResetError"
            with pytest.raises(ConnectionResetError):
                outside.recv(1)
