"""Errors for machines and tokens that there are not, or not for this bearer. Pure."""

from __future__ import annotations

from clove.errors import NotFound

__all__ = ["no_machine", "no_token"]


def no_machine() -> NotFound:
    """The same for one that there is not and for one that the bearer may not see."""
    return NotFound(
        "there is no such machine", hint="list them: GET /api/v1/machines (clove machines list)"
    )


def no_token() -> NotFound:
    """No token of this id."""
    return NotFound(
        "there is no such token", hint="list them: GET /api/v1/tokens (clove tokens list)"
    )
