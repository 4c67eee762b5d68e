"""The kernel's main sockets: paths, checks of their directories, and what if one is taken.

A path given by hand is the only one. Otherwise the first socket is in a directory that only the
kernel's user can write (`clove.socket_paths`), and the contract's /tmp/clove.sock is a second one:
other clients of the protocol know no other path. It is a listener and no link, since
protected_symlinks (proc(5)) keeps other users from following one in /tmp. If another process
listens there already, the kernel logs that and serves the first one alone, or does not start where
the configuration requires both.
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
    """The sockets on which a kernel listens for everything but its agents.

    @ivar paths: those that it has locked, or listens on.
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
            f"and may reach another server there. To have it, remove what is there (as root: "
            f"rm {self._second}) and start again; to do without, set second_socket to an empty "
            "text in the configuration"
        )
