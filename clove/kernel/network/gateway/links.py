"""What connections of agents are judged by, when they are made and later. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from clove.errors import CloveError, PermissionDenied
from clove.kernel.network.gateway.synthetic_addresses import RANGE
from clove.policy import check_address, check_connection

if TYPE_CHECKING:
    from clove.kernel.network.gateway.inspection import Inspection
    from clove.policy import Permissions

__all__ = ["Link", "is_own", "judge", "reason_of"]


def judge(permissions: Permissions, host: str, port: int, addresses: Sequence[str] = ()) -> None:
    """Go on only with a connection that is allowed.

    @param addresses: where it may really go.
    @raise PermissionDenied: the host, its port or one of the addresses is not allowed.
    """
    check_connection(permissions, host, port).require(f"connection to {host}:{port}")
    for one in addresses:
        check_address(permissions, host, port, one).require(f"connection to {host}, {one}")


def reason_of(error: CloveError | OSError) -> str:
    """Why a connection could not be made, with what to do about it where that is known."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{error.message}; {error.hint}" if error.hint else error.message


def is_own(address: str) -> bool:
    """An address that can only mean something inside."""
    number = ipaddress.IPv4Address(address)
    return number in RANGE or number.is_loopback


class Link(msgspec.Struct, frozen=True):
    """What a connection that is carried was judged by.

    @ivar addresses: those of the host when it was made.
    @ivar named: the agent connected to a name.
    @ivar inspection: what looks at what it sends; None: it is not looked at.
    """

    host: str
    port: int
    addresses: tuple[str, ...]
    named: bool
    inspection: Inspection | None

    def judge_again(self, permissions: Permissions) -> None:
        """Hold it to other permissions than it began with.

        @raise PermissionDenied: they do not allow it; or it would be looked at if it began now.
        """
        judge(permissions, self.host, self.port, self.addresses)
        if self.inspection is not None:
            self.inspection.permissions = permissions
        elif self.named and permissions.allowed_domains:
            raise PermissionDenied(
                f"connection to {self.host}:{self.port}",
                rule="allowed_domains",
                hint="it was begun when any host was allowed, and has not been inspected: begin anew",
            )
