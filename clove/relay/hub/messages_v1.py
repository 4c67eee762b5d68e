"""The JSON messages of version 1, after the first ones (docs/wire.md, Relay). Pure."""

from __future__ import annotations

import binascii
import json
from typing import Any

from clove.errors import InvalidRequest

__all__ = ["parse_message", "payload_of", "response", "said"]


def parse_message(text: bytes) -> dict[str, Any]:
    """A message.

    @raise InvalidRequest: it is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise InvalidRequest("a message is a JSON object with a `type`")
    return found


def payload_of(message: dict[str, Any]) -> tuple[int, bytes]:
    """Opcode and payload of a syscall or a response.

    @raise InvalidRequest: it has none.
    """
    opcode, text = message.get("opcode"), message.get("payload") or ""
    if isinstance(opcode, bool) or not isinstance(opcode, int) or not 0 <= opcode <= 0xFF:
        raise InvalidRequest("`opcode` is a number from 0 to 255")
    if not isinstance(text, str):
        raise InvalidRequest("`payload` is base64 text")
    try:
        return opcode, binascii.a2b_base64(text, strict_mode=bool(text))
    except (ValueError, binascii.Error):
        raise InvalidRequest("`payload` is no base64") from None


def said(kind: str, **fields: object) -> bytes:
    """A message."""
    return json.dumps({"type": kind, **fields}).encode()


def response(kind: str, opcode: int, payload: bytes, **fields: object) -> bytes:
    """A message with a payload."""
    text = binascii.b2a_base64(payload, newline=False).decode()
    return said(kind, **fields, opcode=opcode, payload=text)
