"""The tunnel, and callers that come through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.kernel.ids import REMOTE_CALLERS, remote_id
from clove.kernel.remote.tunnels import Accept, Tunnels

if TYPE_CHECKING:
    from clove.kernel.wiring.foundation import Foundation
    from clove.kernel.wiring.network import Network
    from clove.kernel.wiring.stores import Stores

__all__ = ["make_tunnels"]


def make_tunnels(
    foundation: Foundation,
    network: Network,
    stores: Stores,
    *,
    accept: Accept,
    noop: Callable[[], object],
) -> Tunnels:
    """The kernel's tunnels; none is there before L{Tunnels.start}.

    @param accept: serves the peer at the other end of a channel.
    @param noop: goes through dispatch.
    """
    config = foundation.config

    def record(number: int, name: str, token_id: str) -> None:
        details = {"name": name, "token_id": token_id}
        agent_id = remote_id(number)
        stores.audit.record(
            "SECURITY", "REMOTE_CONNECTED", agent_id, name, True, details, REMOTE_CALLERS
        )

    return Tunnels(
        foundation.reactor,
        foundation.state_dir.path,
        config.tunnel,
        config.remote,
        foundation.limits.remote,
        accept=accept,
        noop=noop,
        in_thread=foundation.threads.run,
        load=foundation.import_later,
        way_out=network.way_out,
        resolver=network.known,
        record=record,
    )
