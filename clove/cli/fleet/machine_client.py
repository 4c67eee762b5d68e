"""The client of a machine's kernel, through its relay, for commands that otherwise ask the kernel of this host."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import socket
from typing import TYPE_CHECKING

from clove.client.remote import RelayedConnection, RemoteClient
from clove.errors import CloveError, NotFound, PermissionDenied, Unavailable
from clove.spelling import guess, shown

if TYPE_CHECKING:
    from clove.cli.fleet.context import Context
    from clove.client.limits import ClientLimits
    from clove.client.relay_redial import Told

__all__ = ["MachineClient"]


class MachineClient(RemoteClient):
    """Says of a machine that cannot be reached why that is, and which one may have been meant.

    @param context: names the machine.
    @param told: is told when the relay is not reached for longer than a moment, and when it is there again.
    """

    _connection: RelayedConnection

    def __init__(
        self,
        context: Context,
        *,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
        told: Told | None = None,
    ) -> None:
        assert context.machine is not None
        super().__init__(
            context.hub,
            context.machine,
            token=context.token(),
            name=_own_name(),
            ca_file=context.ca_file,
            timeout=timeout,
            limits=limits,
        )
        self._context = context
        self._connection.told = told

    @property
    def is_down(self) -> bool:
        """Whether the relay has not been reached for longer than a moment."""
        return self._connection.is_down

    def connect(self) -> bool:
        """Connect now.

        @raise CloveError: it cannot be reached, or not by this token.
        """
        try:
            return super().connect()
        except (PermissionDenied, Unavailable) as error:
            raise _explained(self._context, error) from None


def _own_name() -> str:
    """What the kernel's audit log and the relay call this process."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without a name
        user = str(os.getuid())
    words = f"{user}@{socket.gethostname()}"[:64]
    return f"{words} {secrets.token_hex(4)}"


def _explained(context: Context, error: CloveError) -> CloveError:
    """The error for a person: with the machine's near name where there is none such."""
    name = context.machine or ""
    if error.rule == "not_authenticated":
        error.hint = error.hint or "make another token: clove login, or clove tokens"
        return error
    known: tuple[str, ...] | None = None
    with contextlib.suppress(CloveError):
        known = _machines(context)
    if known is None or name in known:
        return error
    close = guess(name, known)
    hint = f"did you mean {close}?" if close else "clove machines list shows them"
    return NotFound(f"no machine {shown(name)!r} at {context.relay}", hint=hint)


def _machines(context: Context) -> tuple[str, ...]:
    return tuple(str(each["machine_id"]) for each in context.fleet().machines())
