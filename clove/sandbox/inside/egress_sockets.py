"""The sockets through which an agent's network leaves, made inside and used by the kernel.

A socket belongs to the network namespace in which it was made, whatever process has it.
So the sandbox makes three before the agent runs and hands them over the control
socket; the kernel answers on them from outside. Nothing of the way out runs
inside, where the agent could kill, trace or confuse it (`docs/egress.md`).
"""

from __future__ import annotations

import _socket

from clove.sandbox.inside import nat_redirect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RESOLVER", "make_egress_sockets"]

RESOLVER = "127.0.0.53"
"""The resolver's address, as in `/etc/resolv.conf`."""
DNS = 53
BACKLOG = 128


def make_egress_sockets(ports: Sequence[int]) -> list[_socket.socket]:
    """Route everything to sockets of the kernel's.

    @param ports: to listen on where the kernel has no NAT; with it, all are.
    @return: the resolver's by UDP and by TCP, then what takes connections.
    @raise OSError: not the right privileges in this network namespace.
    """
    resolver = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    resolver.bind((RESOLVER, DNS))
    taken = [resolver, _listen(RESOLVER, DNS)]
    nat_redirect.add_address(
        RESOLVER
    )  # else libraries take it for a host without IPv4 (AI_ADDRCONFIG)
    nat_redirect.route_everything_to_loopback()
    everything = _listen(RESOLVER, 0)
    try:
        nat_redirect.redirect_tcp(*everything.getsockname())
    except OSError:  # no nf_tables here
        everything.close()
        return taken + [_listen("0.0.0.0", port) for port in ports if port != DNS]  # noqa: S104
    return [*taken, everything]


def _listen(address: str, port: int) -> _socket.socket:
    listening = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    listening.bind((address, port))
    listening.listen(BACKLOG)
    return listening
