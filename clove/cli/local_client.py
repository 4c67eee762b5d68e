"""The client of this host's kernel, which says when the two may not understand each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.client.blocking import CloveClient

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.limits import ClientLimits

__all__ = ["LocalClient"]


class LocalClient(CloveClient):
    """A client that compares the kernel's version with the command's when it connects.

    @param console: where it is said.
    """

    def __init__(
        self, console: Console, *, timeout: float | None = 30.0, limits: ClientLimits | None = None
    ) -> None:
        super().__init__(console.socket, timeout=timeout, limits=limits)
        self._console = console

    def connect(self) -> bool:
        """Connect now.

        @raise ConnectionLost, PermissionDenied: as with L{CloveClient}.
        """
        super().connect()
        self._console.remark_version("kernel", self.hello().get("kernel_version", ""))
        return True
