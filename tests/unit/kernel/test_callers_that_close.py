"""Remote callers that close their channel while the kernel reads no more of it."""

from __future__ import annotations

from typing import Any

import pytest

from clove.channels.multiplexed import MultiplexedChannel
from clove.framing import encode
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.credentials import RemoteCaller
from clove.kernel.ids import remote_id
from tests.unit.channels.link_pair import LinkPair
from tests.unit.kernel.connection_peer import Peer

QUICK, SLOW = 2, 3
"""Opcodes that are answered at once, and when the test says so."""


class Tunnel(LinkPair):
    """The kernel is at its second end."""

    def __init__(self) -> None:
        self.kernel = Peer()
        self.connections: list[KernelConnection] = []
        super().__init__()

    def _accept(self, channel: MultiplexedChannel, said: dict[str, Any]) -> None:
        answers: Any = self.kernel.answers
        connection = KernelConnection(answers, self.kernel.principals, ConnectionLimits(), channel)
        connection.open(lambda: RemoteCaller(7))
        self.connections.append(connection)


@pytest.mark.parametrize("more", [0, 300], ids=["read", "no more read"])
def test_what_waits_is_given_up_when_it_is_looked_round(more: int) -> None:
    tunnel = Tunnel()
    tunnel.open()
    [caller] = tunnel.readers[0]
    caller.sender.send(encode(0, SLOW, b"") + encode(0, QUICK, b"x") * more)
    tunnel.settle()
    caller.sender.send(encode(0, QUICK, b"not read yet"))
    caller.channel.close()
    tunnel.settle()
    tunnel.connections[0].check(1)
    tunnel.settle()
    assert tunnel.kernel.answers.cancelled == 1
    assert tunnel.kernel.closed == [remote_id(7)]
    assert caller.lost_times == 1
