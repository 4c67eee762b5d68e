"""What all messages share: bytes to a typed request, a typed reply to bytes.

A request type declares what `docs/wire.md` allows; fields it does not know are
ignored, as the contract lets clients send more. A reply type gives every field
its empty value as default, because an error reply carries the usual fields
with empty values.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec

from clove.errors import CloveError, InvalidRequest

__all__ = ["Reply", "Request", "decode", "encode", "encode_error"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every request."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every reply that is a JSON object."""

    success: bool = True


R = TypeVar("R", bound=Request)


@functools.cache
def _decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    return msgspec.json.Decoder(kind)


def decode(kind: type[R], payload: bytes) -> R:
    """A typed request; an empty payload means `{}`, an optional field's null its absence.

    @raise InvalidRequest: not UTF-8, not JSON, too deep, or of the wrong type.
    """
    decoder = _decoder(kind)
    try:
        try:
            request: R = decoder.decode(payload or b"{}")
        except msgspec.ValidationError:
            if b"null" not in payload:
                raise
            request = decoder.decode(_without_nulls(kind, payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(
            f"bad request: {error}", hint="see docs/wire.md for this syscall's fields"
        ) from None
    return request


def _without_nulls(kind: type[Request], payload: bytes) -> bytes:
    """The payload with those optional fields left out that are null."""
    fields = msgspec.json.decode(payload)
    if not isinstance(fields, dict):
        return payload
    optional = {field.encode_name for field in msgspec.structs.fields(kind) if not field.required}
    return encode({k: v for k, v in fields.items() if v is not None or k not in optional})


encode = msgspec.json.encode


@functools.cache
def _empty_fields(kind: type[Reply] | None) -> dict[str, Any]:
    fields = {} if kind is None else msgspec.to_builtins(kind())
    fields.pop("success", None)
    return dict(fields)


def encode_error(error: CloveError, kind: type[Reply] | None = None) -> bytes:
    """An error reply, with the usual fields of `kind` at their empty values."""
    return encode({**_empty_fields(kind), **error.fields()})
