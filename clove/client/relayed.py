"""What clients that reach their kernel through a relay are made of. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from clove.client.limits import ClientLimits
from clove.client.relay_connection import RelayAddress

if TYPE_CHECKING:
    from typing import Required, TypedDict

    class RelayOptions(TypedDict, total=False):
        """Options of L{RelayedClient}, for one that has parameters besides."""

        token: Required[str]
        name: str
        ca_file: str | None
        plain: bool
        timeout: float | None
        limits: ClientLimits | None


__all__ = ["RelayedClient"]


class RelayedClient:
    """Comes before the client that it makes one through a relay.

    @param relay_url: such as wss://relay.example:8765.
    @param machine: the machine's id there.
    @param token: of kind agent, or admin.
    @param name: shown as the caller's name.
    @param ca_file: certificates in PEM that the relay's may be signed by, beside the host's.
    @param plain: allow ws:// to another host than this.
    @param timeout: seconds that the kernel has for an answer, besides what the call itself allows it;
        None: for ever.
    """

    _connects: ClassVar[type[Any]]
    """Makes the connection."""

    def __init__(
        self,
        relay_url: str,
        machine: str,
        *,
        token: str,
        name: str = "",
        ca_file: str | None = None,
        plain: bool = False,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
    ) -> None:
        self.timeout = timeout
        self.limits = limits or ClientLimits()
        address = RelayAddress.of(relay_url, machine, token, name, ca_file, plain=plain)
        self._connection = self._connected(address, self.limits)

    def _connected(self, address: RelayAddress, limits: ClientLimits) -> Any:
        return self._connects(address, limits)
