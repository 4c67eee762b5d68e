"""The one tree of errors: a stable code, an HTTP status, and what to do next.

Pure and standard library only, because the blocking client and the sandbox's
launcher both raise these.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "Cancelled",
    "CloveError",
    "ConnectionLost",
    "Internal",
    "InvalidRequest",
    "IsolationUnavailable",
    "LimitExceeded",
    "LockedOut",
    "NotAuthenticated",
    "NotFound",
    "NotImplementedYet",
    "PermissionDenied",
    "QuotaExceeded",
    "RateLimited",
    "TimedOut",
    "Unavailable",
    "error_from_reply",
]


class CloveError(Exception):
    """Any failure that a caller may see.

    @ivar message: one sentence for a person.
    @ivar rule: for a denial, the rule that denied.
    @ivar hint: what to do next; may be empty.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, rule: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule
        self.hint = hint
        if rule:
            self.add_note(f"rule: {rule}")  # what a traceback shows below the message
        if hint:
            self.add_note(f"hint: {hint}")

    def fields(self) -> dict[str, object]:
        """The error's part of a reply, as `docs/wire.md` gives it."""
        fields: dict[str, object] = {"success": False, "error": self.message, "code": self.code}
        if self.rule:
            fields["rule"] = self.rule
        if self.hint:
            fields["hint"] = self.hint
        return fields


class InvalidRequest(CloveError):
    """The request is malformed, of the wrong type, or makes no sense."""

    code = "invalid_request"
    http_status = 400


class PermissionDenied(CloveError):
    """Policy says no. The text always begins with `Permission denied`."""

    code = "permission_denied"
    http_status = 403

    def __init__(self, message: str, *, rule: str = "", hint: str = "") -> None:
        if not message.startswith("Permission denied"):
            message = f"Permission denied: {message}"
        super().__init__(message, rule=rule, hint=hint)


class NotAuthenticated(CloveError):
    """There is no token, or none that is valid. From relays only."""

    code = "not_authenticated"
    http_status = 401


class NotFound(CloveError):
    """No such agent, name, key or file."""

    code = "not_found"
    http_status = 404


class AlreadyExists(CloveError):
    """A name is in use, or a version did not match."""

    code = "already_exists"
    http_status = 409


class QuotaExceeded(CloveError):
    """A quota of calls or tokens is used up."""

    code = "quota_exceeded"
    http_status = 429


class RateLimited(CloveError):
    """Too many requests in a while.

    @ivar retry_after: seconds until the next is served; 0: not known.
    """

    code = "rate_limited"
    http_status = 429

    def __init__(
        self, message: str, *, rule: str = "", hint: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message, rule=rule, hint=hint)
        self.retry_after = retry_after


class LockedOut(RateLimited):
    """Too many attempts with a wrong token; this one was not looked at. From relays only."""

    code = "locked_out"


class LimitExceeded(CloveError):
    """A documented limit (size, count, depth) would be passed."""

    code = "limit_exceeded"
    http_status = 413


class TimedOut(CloveError):
    """The time that the request allowed is over."""

    code = "timeout"
    http_status = 504


class Cancelled(CloveError):
    """The caller abandoned the request."""

    code = "cancelled"
    http_status = 499


class IsolationUnavailable(CloveError):
    """Isolation that was asked for cannot be had on this host."""

    code = "isolation_unavailable"
    http_status = 501


class NotImplementedYet(CloveError):
    """The opcode is part of the contract but not built yet."""

    code = "not_implemented"
    http_status = 501


class Unavailable(CloveError):
    """A part of the kernel (the LLM service, say) cannot serve now."""

    code = "unavailable"
    http_status = 503


class ConnectionLost(CloveError):
    """The connection to the kernel is gone. Raised by the clients only."""

    code = "connection_lost"
    http_status = 503


class Internal(CloveError):
    """A bug in the kernel; its log has the details."""

    code = "internal_error"
    http_status = 500


_BY_CODE: dict[str, type[CloveError]] = {
    kind.code: kind
    for kind in (
        InvalidRequest,
        PermissionDenied,
        NotAuthenticated,
        NotFound,
        AlreadyExists,
        QuotaExceeded,
        RateLimited,
        LockedOut,
        LimitExceeded,
        TimedOut,
        Cancelled,
        IsolationUnavailable,
        NotImplementedYet,
        Unavailable,
        ConnectionLost,
        Internal,
    )
}


def error_from_reply(reply: dict[str, object]) -> CloveError:
    """The typed error that a reply with `"success": false` and a code stands for."""
    code = str(reply.get("code", ""))
    kind = _BY_CODE.get(code, CloveError)
    return kind(
        str(reply.get("error", code)),
        rule=str(reply.get("rule", "")),
        hint=str(reply.get("hint", "")),
    )
