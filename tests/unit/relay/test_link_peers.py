"""The links to other relays, as far as they are made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.errors import Unavailable
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.link.peers import Peers


async def test_a_link_that_is_being_made_at_the_stop_is_no_fault() -> None:
    threads: Any = SimpleNamespace(run=lambda *given: Deferred())
    limits = RelayLinkLimits()
    identity = RelayIdentity("fleet")
    peers = Peers(Clock(), identity, limits, threads, ca_file="", plain=True)
    other = RelayIdentity("fleet").record("ws://127.0.0.1:1")
    linking = Deferred.fromCoroutine(peers.link(other))
    peers.stop()
    with pytest.raises(Unavailable):
        await linking
