"""Requests that failed: their audit entry, the event of a denial, and the reply with the error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from clove.errors import (
    Cancelled,
    CloveError,
    Internal,
    InvalidRequest,
    NotImplementedYet,
    PermissionDenied,
)
from clove.framing import Opcode
from clove.kernel.authority import may
from clove.messages import encode_error

if TYPE_CHECKING:
    from clove.kernel.context import Kernel
    from clove.kernel.principal import Principal
    from clove.kernel.syscall import Syscall

__all__ = ["FailedRequests", "unknown_opcode"]


class FailedRequests:
    """Makes replies of errors, for the dispatcher."""

    log = Logger()

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._record = kernel.audit.record

    def reply(self, syscall: Syscall, name: str, principal: Principal, error: CloveError) -> bytes:
        """Write the audit entry, publish the event of a denial; the reply's payload.

        @param name: of the syscall.
        """
        details = {"error": error.message, "code": error.code}
        if isinstance(error, PermissionDenied):
            category, action = "SECURITY", "PERMISSION_DENIED"
            details = {"syscall": name, **details, "rule": error.rule}
        else:
            category, action = syscall.category, name
        self._record(
            category,
            action,
            principal.agent_id,
            principal.name,
            False,
            details,
            principal.family,
        )
        if isinstance(error, PermissionDenied):
            self.publish_blocked(principal, name, error.rule)
        return encode_error(error, syscall.reply)

    def of_failure(self, syscall: Syscall, name: str, principal: Principal, failure: Any) -> bytes:
        """The reply to a request whose Deferred failed.

        @param failure: a Twisted Failure; a cancelled request is an error like any other.
        """
        error = failure.value
        if isinstance(error, (CancelledError, CloveError)):
            # Its frames hold the error, and with it all of the request, until a collection.
            error.__traceback__ = failure.tb = None
        if isinstance(error, CancelledError):
            error = Cancelled("the request was cancelled")
        if isinstance(error, CloveError):
            return self.reply(syscall, name, principal, error)
        self.log.failure("{name} failed", failure=failure, name=name)
        return _internal(syscall)

    def of_bug(self, syscall: Syscall, name: str) -> bytes:
        """The reply to a request whose call raised an unexpected exception, which is logged."""
        self.log.failure("{name} failed", name=name)
        return _internal(syscall)

    def publish_blocked(self, principal: Principal, name: str, rule: str) -> None:
        """Publish SYSCALL_BLOCKED to those principals that may see it (`authority.py`)."""
        self._kernel.events.publish(
            "SYSCALL_BLOCKED",
            {"syscall": name, "agent_id": principal.agent_id, "rule": rule},
            principal.agent_id,
            lambda seen: self._may_watch(seen, principal),
        )

    def _may_watch(self, seen: int, denied: Principal) -> bool:
        watcher = self._kernel.registry.get(seen)
        return watcher is not None and may(watcher, "SYSCALL_BLOCKED", denied)


def unknown_opcode(opcode: int) -> CloveError:
    """The error for an opcode that the table of syscalls does not have."""
    try:
        name = Opcode(opcode).name
    except ValueError:
        return InvalidRequest(
            f"unknown opcode 0x{opcode:02x}", hint="docs/wire.md lists the opcodes"
        )
    return NotImplementedYet(f"{name} is not implemented yet", hint="see docs/architecture.md")


def _internal(syscall: Syscall) -> bytes:
    error = Internal("a bug in the kernel; its log says more", hint="please report it")
    return encode_error(error, syscall.reply)
