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
    """A typed request; an empty payload means `{}`.

    @raise InvalidRequest: not UTF-8, not JSON, too deep, or of the wrong type.
    """
    try:
        request: R = _decoder(kind).decode(payload or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(
            f"bad request: {error}", hint="see docs/wire.md for this syscall's fields"
        ) from None
    return request


encode = msgspec.json.encode


@functools.cache
def _empty_fields(kind: type[Reply] | None) -> dict[str, Any]:
    fields = {} if kind is None else msgspec.to_builtins(kind())
    fields.pop("success", None)
    return dict(fields)


def encode_error(error: CloveError, kind: type[Reply] | None = None) -> bytes:
    """An error reply, with the usual fields of `kind` at their empty values."""
    return encode({**_empty_fields(kind), **error.fields()})
