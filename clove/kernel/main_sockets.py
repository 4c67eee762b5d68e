"""The kernel's main sockets: paths, checks of their directories, and what if one is taken.

A path given by hand is the only one. Otherwise the first socket is in a directory that only the
kernel's user can write (`clove.socket_paths`), and the contract's /tmp/clove.sock is a second one:
other clients of the protocol know no other path. It is a listener and no link, since
protected_symlinks (proc(5)) keeps other users from following one in /tmp. If another process
listens there already, the kernel logs that and serves the first one alone, or does not start where
the configuration requires both.

Either may be handed over by systemd, which listens there before the kernel is started
(`clove.systemd.activation`). It is served if it is at one of these paths, with the owner and mode that the
kernel would have given it; otherwise the kernel does not start.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from clove.errors import CloveError, InvalidRequest, Unavailable
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
    @param handed: listening sockets of systemd's, with their names.
    @raise InvalidRequest: a path cannot be a socket's, or a socket is handed over that is none of these.
    """

    def __init__(
        self,
        config: Config,
        asked: str | None,
        environ: Mapping[str, str],
        handed: Iterable[tuple[str, socket.socket]] = (),
    ) -> None:
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
        self._handed: dict[str, socket.socket] = {}
        for name, listener in handed:
            self._accept(name, listener)

    def _accept(self, name: str, listener: socket.socket) -> None:
        """@raise InvalidRequest: it is at no path of the kernel's."""
        path = os.fsdecode(listener.getsockname()) if listener.family == socket.AF_UNIX else ""
        wanted = [self._first] if self._first else self._usual
        if not path or path not in (*wanted, self._second) or path in self._handed:
            at = path.replace("\0", "@") or "an address that is no path"
            paths = " or ".join(filter(None, (*wanted, self._second)))
            raise InvalidRequest(
                f"the socket {name!r} that was handed over is at {at}, and this kernel's is {paths}",
                hint="have ListenStream= in the socket unit and `socket` in the configuration agree",
            )
        self._handed[path] = listener
        if path in wanted:
            self._first = path

    def claim(self) -> None:
        """Make the paths free to bind. Blocking.

        @raise Unavailable: the first cannot be had, or a second that must be.
        """
        first = self._first or self._best()
        if first:
            self._claim(first)
            self.paths.append(first)
        if self._second not in ("", first):
            try:
                self._claim(self._second)
            except CloveError as error:
                self._do_without(error)
            else:
                self.paths.append(self._second)
        if not self.paths:
            raise Unavailable(
                "there is no place for the socket that is this user's alone",
                hint="set XDG_RUNTIME_DIR or HOME, or say where with --socket",
            )

    def _claim(self, path: str) -> None:
        if path not in self._handed:  # there it would be ourselves who listen already
            claim_socket(path)

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
                    listener = self._handed.get(path)
                    if listener is not None:
                        _check_file(path, mode)
                    port = await listen(
                        reactor,
                        factory,
                        path,
                        mode,
                        exposed=True,
                        disposal=disposal,
                        listener=listener,
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


def _check_file(path: str, mode: int) -> None:
    """A socket that was handed over is reached by whom it should be.

    @raise Unavailable: its file is gone, or has another owner or mode.
    """
    try:
        facts = os.lstat(path)
    except OSError as error:
        raise Unavailable(
            f"the socket that was handed over cannot be reached at {path}: {error.strerror}",
            hint="restart its socket unit",
        ) from None
    found = stat.S_IMODE(facts.st_mode)
    if stat.S_ISSOCK(facts.st_mode) and facts.st_uid == os.geteuid() and found == mode:
        return
    raise Unavailable(
        f"the socket that was handed over at {path} has mode {found:04o} and belongs to user id "
        f"{facts.st_uid}, and must have {mode:04o} and belong to {os.geteuid()}",
        hint=f"in its socket unit: SocketMode={mode:04o}, and SocketUser= of the service's User=",
    )
