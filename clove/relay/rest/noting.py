"""Which errors of requests are refusals, and what is noted of them."""

from __future__ import annotations

from typing import Any, Final

from clove.errors import CloveError, NotAuthenticated, PermissionDenied, RateLimited
from clove.relay.denial_record import DenialKind
from clove.relay.denials import Denials

__all__ = ["KIND_RULE", "note_denial", "note_refusal"]

KIND_RULE: Final = "token kind"
"""The rule by which a route refuses a token."""


def note_refusal(denials: Denials, request: Any, error: BaseException) -> None:
    """Note an error, if it is a refusal."""
    if isinstance(error, NotAuthenticated | RateLimited):
        note_denial(denials, request, error, "token")
    elif isinstance(error, PermissionDenied):
        note_denial(denials, request, error, "route" if error.rule == KIND_RULE else "kernel")


def note_denial(denials: Denials, request: Any, error: CloveError, kind: DenialKind) -> None:
    """Note a refusal of a request."""
    method = ascii(request.method.decode("utf-8", "replace"))[1:-1][:16]
    denials.add(
        kind,
        request.source,
        token_id=request.token_id,
        machine_id=request.machine_id,
        what=f"{method} {request.route}".rstrip(),
        code=error.code,
        rule=error.rule,
        error=error.message,
    )
