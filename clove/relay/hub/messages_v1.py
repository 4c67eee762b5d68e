"""The JSON messages of version 1, after the first ones (docs/wire.md, Relay). Pure.

Fields that a message needs not have are skipped, not made: a text of a few MiB may have millions of them.
"""

from __future__ import annotations

import binascii
import json

import msgspec

from clove.errors import InvalidRequest
from clove.messages.base import MALFORMED

__all__ = ["MessageV1", "parse_message", "said"]


class MessageV1(msgspec.Struct, frozen=True, kw_only=True):
    """A message; its fields are looked at when they are needed."""

    type: str
    raw_id: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="agent_id")
    raw_opcode: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="opcode")
    raw_payload: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"), name="payload")

    @property
    def agent_id(self) -> int | None:
        """Of a response; None where it has none that makes sense."""
        try:
            return int(msgspec.json.decode(self.raw_id, type=int))
        except MALFORMED:
            return None

    def opcode_and_payload(self) -> tuple[int, bytes]:
        """Of a syscall or a response.

        @raise InvalidRequest: it has none.
        """
        try:
            opcode = msgspec.json.decode(self.raw_opcode, type=int)
        except MALFORMED:
            opcode = -1
        if not 0 <= opcode <= 0xFF:
            raise InvalidRequest("`opcode` is a number from 0 to 255")
        try:
            return opcode, msgspec.json.decode(self.raw_payload, type=bytes | None) or b""
        except MALFORMED:
            raise InvalidRequest("`payload` is base64 text") from None


_MESSAGE = msgspec.json.Decoder(MessageV1)


def parse_message(text: bytes) -> MessageV1:
    """A message.

    @raise InvalidRequest: it is none.
    """
    try:
        return _MESSAGE.decode(text)
    except MALFORMED:
        raise InvalidRequest("a message is a JSON object with a `type`") from None


def said(kind: str, **fields: object) -> bytes:
    """A message. A field that is bytes is a payload, which may be large: no JSON encoder looks at it."""
    small = {name: each for name, each in fields.items() if not isinstance(each, bytes)}
    text = json.dumps({"type": kind, **small}).encode()
    for name, each in fields.items():
        if isinstance(each, bytes):
            payload = binascii.b2a_base64(each, newline=False)
            text = b'%b, "%b": "%b"}' % (text[:-1], name.encode(), payload)
    return text
