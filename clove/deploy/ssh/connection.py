"""The user's own `ssh`, one connection for all commands. What it trusts is what the user's configuration says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clove.deploy.programs import Ran, run_program
from clove.errors import (
    CloveError,
    ConnectionLost,
    InvalidRequest,
    NotAuthenticated,
    PermissionDenied,
)

__all__ = ["Connection", "check_host"]

_HOST: Final = re.compile(
    r"([A-Za-z0-9._][A-Za-z0-9._@+$-]*@)?[A-Za-z0-9:_\[][A-Za-z0-9._:%\[\]-]*"
)
_IDLE: Final = 10
"""Seconds after which an idle connection ends."""
_CONNECT: Final = 20
"""Seconds in which a host has to answer."""
_CONTROL: Final = re.compile(r"[A-Za-z0-9/._+@,=-]{1,80}")
"""Paths of a control socket: ssh adds 18 bytes, of Linux's 107, and would take spaces, quotes, % and $ for its own."""
_FAILED: Final = 255
"""The status of ssh for what is its own trouble."""


def check_host(host: str) -> str:
    """C{[user@]host}, which ssh does not take for an option.

    @raise InvalidRequest: it is none.
    """
    if _HOST.fullmatch(host) is None:
        raise InvalidRequest(f"{host!r} is no host", hint="it is like ann@build-7")
    return host


class Connection:
    """Runs scripts on a host.

    @ivar host: C{[user@]host}, checked.
    @param port: 0: as the user's configuration says.
    @param identity: file with a private key; "": as the user's configuration says.
    @param control: where the socket of the shared connection is.
    """

    def __init__(self, host: str, port: int, identity: str, control: Path) -> None:
        self.host = host
        self._options = [*(["-p", str(port)] if port else [])]
        self._options += ["-i", identity] if identity else []
        self._shared: list[str] = []
        if _CONTROL.fullmatch(str(control)):
            options = ("ControlMaster=auto", f"ControlPath={control}", f"ControlPersist={_IDLE}")
            self._shared = [word for option in options for word in ("-o", option)]

    @property
    def command(self) -> str:
        """What a person types to be there."""
        return shlex.join(["ssh", *self._options, self.host])

    def run(
        self,
        script: str,
        arguments: Sequence[str] = (),
        *,
        stdin: bytes = b"",
        root: str = "",
        timeout: float = 60.0,
    ) -> Ran:
        """Run a script of sh there; gives also what has failed.

        @param arguments: its C{$1}, ...; other users there see them, so no secret is one.
        @param root: C{sudo}: by sudo, which must not ask; else as who logs in.
        @raise CloveError: the host was not reached.
        """
        shell = ["sudo", "-n", "sh"] if root == "sudo" else ["sh"]
        remote = f"exec {shlex.join([*shell, '-c', script, 'sh', *arguments])}"
        words = ["ssh", "-T", *self._shared, "-o", f"ConnectTimeout={_CONNECT}"]
        words += ["-o", "ServerAliveInterval=15", *self._options, "--", self.host, remote]
        ran = run_program(
            words,
            missing="install it: apt install openssh-client",
            stdin=stdin,
            timeout=timeout,
        )
        if ran.status == _FAILED:
            raise self._trouble(ran.complaint)
        return ran

    def end(self) -> None:
        """End the shared connection, if there is one."""
        if self._shared:
            words = ["ssh", *self._shared, "-O", "exit", "--", self.host]
            run_program(words, missing="", timeout=10)

    def _trouble(self, complaint: str) -> CloveError:
        low = complaint.lower()
        if "host key verification failed" in low or "identification has changed" in low:
            return PermissionDenied(
                f"ssh does not trust the host key of {self.host}: {complaint}",
                hint=f"find out whether it is the same machine; then {self.command} helps further",
            )
        if "permission denied" in low or "too many authentication failures" in low:
            return NotAuthenticated(
                f"{self.host} does not let you in: {complaint}",
                hint=f"try it: {self.command}; another key is named by --identity",
            )
        return ConnectionLost(
            f"{self.host} was not reached: {complaint or 'ssh has ended'}",
            hint=f"try it: {self.command}; another port is named by --port",
        )
