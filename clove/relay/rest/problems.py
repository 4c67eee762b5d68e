"""Errors as replies: RFC 9457 problem details with the contract's fields. Pure."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from clove.errors import CloveError, Internal, InvalidRequest, NotFound, RateLimited
from clove.relay.rest.types import Problem

__all__ = ["PROBLEM_JSON", "Answer", "problem_of"]

PROBLEM_JSON: Final = "application/problem+json"


class Answer(NamedTuple):
    """A whole reply."""

    status: int
    headers: dict[str, str]
    body: bytes


def problem_of(error: BaseException) -> Answer:
    """The reply for an error; what is no error of ours is one inside, of which nothing is told."""
    headers = {"Content-Type": PROBLEM_JSON}
    if isinstance(error, CloveError):
        status, found = error.http_status, error
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or []))
        headers["Allow"] = allowed
        status, found = 405, InvalidRequest("method not allowed", hint=f"allowed: {allowed}")
    elif isinstance(error, HTTPException) and (error.code or 500) < 500:
        status, found = 404, NotFound("there is nothing here", hint="see /api/v1/openapi.json")
    else:
        status, found = 500, Internal("internal error", hint="the relay's log has more")
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="clove"'
    if isinstance(found, RateLimited) and found.retry_after > 0:
        headers["Retry-After"] = str(math.ceil(found.retry_after))
    problem = Problem(
        type=f"urn:clove:error:{found.code}",
        title=_title(status),
        status=status,
        detail=found.message,
        error=found.message,
        code=found.code,
        hint=found.hint,
        rule=found.rule,
    )
    return Answer(status, headers, msgspec.json.encode(problem))


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
