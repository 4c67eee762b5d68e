"""The sockets that are the kernel's own: which, who may have made their place, what if not.

With a path given by hand there is that one alone. Else the first lies where nobody else can make
anything (`clove.socket_paths`), and the contract's /tmp/clove.sock is listened on as well: clients
that we do not write know no other. It is a listener and no link, since protected_symlinks (proc(5))
keeps other users from following one in /tmp. Whoever was there before has it: then the kernel says
so, and serves its first one, or does not start where the configuration requires both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clove.errors import CloveError, Unavailable
from clove.kernel.listening import check_path, claim_socket, listen, stopped
from clove.socket_paths import CONTRACT, belongs_to, own_sockets

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.internet.protocol import Factory

    from clove.kernel.config import Config
    from clove.sandbox.disposal import Disposal

__all__ = ["MainSockets"]


class MainSockets:
    """Where a kernel listens for everybody but its agents.

    @ivar paths: those that it claimed, or listens on.
    @ivar missing: what is wrong with the second one, and what to do; "" if nothing is.
    @param asked: by --socket; then it is the only one.
    @raise InvalidRequest: a path cannot be a socket's.
    """

    def __init__(self, config: Config, asked: str | None, environ: Mapping[str, str]) -> None:
        self.paths: list[str] = []
        self.missing = ""
        self._usual: list[str] = []
        given = config.socket if asked is None else asked
        second = config.second_socket
        if given or asked is not None:
            self._first = check_path(given)
        else:
            self._first = ""
            self._usual = own_sockets(os.geteuid(), environ)
            second = CONTRACT if second is None else second
        self._second = check_path(second) if second and asked is None else ""
        self._required = config.second_socket_required

    def claim(self) -> None:
        """Make the paths free to bind. Blocking.

        @raise Unavailable: the first cannot be had, or a second that must be.
        """
        first = self._first or self._best()
        if first:
            claim_socket(first)
            self.paths.append(first)
        if self._second not in ("", first):
            try:
                claim_socket(self._second)
            except CloveError as error:
                self._do_without(error)
            else:
                self.paths.append(self._second)
        if not self.paths:
            raise Unavailable(
                "there is no place for the socket that is this user's alone",
                hint="set XDG_RUNTIME_DIR or HOME, or say where with --socket",
            )

    def _best(self) -> str:
        """The first of the usual places that is there or can be made; "" without any."""
        for path in self._usual:
            directory = os.path.dirname(path)
            try:
                os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
                if not os.path.lexists(directory):
                    os.mkdir(directory, 0o700)
                    if os.geteuid() == 0:  # others may connect, if the configuration says so
                        os.chmod(directory, 0o755)  # noqa: S103 below /run, which is root's
            except OSError:
                continue
            if belongs_to(directory, os.geteuid()):
                return path
        return ""

    async def listen(
        self, reactor: Any, factory: Factory, mode: int, disposal: Disposal | None = None
    ) -> list[IListeningPort]:
        """Open them; gives the ports.

        @param disposal: closes what a peer may make slow to close.

        @raise Unavailable: as in L{claim}; nothing is open then.
        """
        ports: list[IListeningPort] = []
        try:
            for path in tuple(self.paths):
                try:
                    port = await listen(
                        reactor, factory, path, mode, exposed=True, disposal=disposal
                    )
                    ports.append(port)
                except Unavailable as error:
                    self.paths.remove(path)
                    if path != self._second:
                        raise
                    self._do_without(error)
        except Unavailable:
            for port in ports:
                await stopped(port)
            raise
        return ports

    def _do_without(self, error: CloveError) -> None:
        """Go on without the second socket, where that is allowed."""
        if self._required or not self.paths:
            raise error
        self.missing = (
            f"{error.message}. Clients that know {self._second} alone do not reach this kernel, "
            f"and may reach who is there instead. To have it, remove what is there (as root: "
            f"rm {self._second}) and start again; to do without, set second_socket to an empty "
            "text in the configuration"
        )
