"""A relay's address, what it is sent, and what its replies say. Pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from clove.client.fleet_plan import Asked
from clove.errors import CloveError, InvalidRequest, LimitExceeded, RateLimited, error_from_reply

__all__ = ["MOST_REPLY", "address_of", "request_of", "understood"]

MOST_REPLY: Final = 64 << 20
"""Bytes of a reply."""


def address_of(url: str, plain: bool) -> tuple[str, int, bool]:
    """Host, port, and whether it is TLS."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise InvalidRequest(
            f"{url!r} is no relay's address", hint="name it as https://relay.example.org:8766"
        )
    secure = parts.scheme == "https"
    if not (secure or plain or _is_loopback(host)):
        raise InvalidRequest(
            f"the token would cross the network to {host} unencrypted",
            hint="use https, or a tunnel of ssh to its loopback",
        )
    return host, port or 8766, secure


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def request_of(asked: Asked, token: str) -> tuple[dict[str, str], bytes | None]:
    """Headers and body of a request.

    @raise InvalidRequest: a value that JSON cannot express.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", **asked.more}
    if asked.body is None:
        return headers, None
    try:
        body = json.dumps(asked.body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"this request cannot be sent as JSON: {error}") from None
    return {**headers, "Content-Type": "application/json"}, body


def understood(status: int, retry_after: str | None, raw: bytes) -> dict[str, Any]:
    """What a reply says.

    @raise CloveError: what went wrong.
    """
    if len(raw) > MOST_REPLY:
        raise LimitExceeded(f"the relay's reply has more than {MOST_REPLY} bytes")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise CloveError(
            f"this is no relay's answer (HTTP status {status})", hint="is this its address?"
        )
    if status >= 400:
        error = error_from_reply(dict(found))
        if isinstance(error, RateLimited) and (retry_after or "").isdecimal():
            error.retry_after = float(retry_after or 0)
        raise error
    return dict(found)
