"""What all messages share: bytes to a typed request, a typed reply to bytes.

A request type declares what `docs/wire.md` allows. Unknown fields are refused, with the name that
is near; only on version 1 are they ignored, with a warning (L{read}). A reply
type gives every field its empty value as default, because an error reply carries the usual
fields with empty values.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from clove.errors import CloveError, InvalidRequest
from clove.messages.json_text import check_small

if TYPE_CHECKING:
    from clove.messages.mending import Misfit

__all__ = [
    "MALFORMED",
    "Reply",
    "Request",
    "decode",
    "decoder",
    "encode",
    "encode_error",
    "read",
]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every request."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every reply that is a JSON object."""

    success: bool = True


R = TypeVar("R", bound=Request)

MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes from outside."""
_FEW: Final = 8 << 10
"""Bytes up to which a request takes little time, whatever is in it."""
_SEE: Final = "see docs/wire.md for this syscall's fields"
_NONE_OF_THEM: Final = "Invalid enum value"
_LONG: Final = 200
"""Characters of an error that shows a value: to make one of 1 MiB takes 13 ms each time that it is decoded."""


@functools.cache
def decoder(kind: type[R]) -> Callable[[bytes], R]:
    """What makes a request of bytes that are right, and raises one of L{MALFORMED} else.

    Where anything may be in a field, it looks first how much that is: L{InvalidRequest}.
    """
    decode = msgspec.json.Decoder(kind).decode
    if not _is_open(kind):
        return decode

    def bounded(payload: bytes) -> R:
        if len(payload) > _FEW:
            check_small(payload)
        return decode(payload)

    return bounded


def _is_open(hint: Any) -> bool:
    """Whether a type, or one in it, takes any JSON, or any number of names, and makes objects."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return any(_is_open(field.type) for field in msgspec.structs.fields(hint))
    if hint is Any or typing.get_origin(hint) is dict:
        return True
    return any(map(_is_open, typing.get_args(hint)))


def decode(kind: type[R], payload: bytes) -> R:
    """A typed request; an empty payload means `{}`, an optional field's null its absence.

    @raise InvalidRequest: not UTF-8, not JSON, too deep, of the wrong type, or with a field
        that is not known.
    """
    try:
        request: R = decoder(kind)(payload or b"{}")
    except MALFORMED as error:
        return read(kind, payload, error)[0]
    return request


def read(
    kind: type[R], payload: bytes, error: Exception, *, lenient: bool = False
) -> tuple[R, list[Misfit]]:
    """A request that could not be decoded at once, for this reason; and what was left out.

    @param lenient: it came by version 1, which ignores what it does not know.
    @raise InvalidRequest: it can't be understood; without `lenient`, not wholly.
    """
    from clove.messages.mending import is_small, mend, without_empty  # for what is wrong alone

    misfits: list[Misfit] = []
    if len(text := str(error)) > _LONG and text.startswith(_NONE_OF_THEM):
        raise InvalidRequest(
            f"bad request: {text[:_LONG]}… is none of those that there are", hint=_SEE
        )
    try:
        if not isinstance(error, msgspec.ValidationError) or not is_small(payload):
            raise error
        mended, misfits = mend(kind, payload or b"{}", lenient=lenient)
        if misfits and not lenient:
            raise InvalidRequest(f"bad request: {misfits[0].what}", hint=misfits[0].hint)
        try:
            return decoder(kind)(mended), misfits
        except msgspec.ValidationError:
            if not lenient:
                raise
        return decoder(kind)(without_empty(kind, mended)), misfits
    except MALFORMED as problem:
        hint = str(misfits[0]) if misfits else _SEE
        raise InvalidRequest(f"bad request: {problem}", hint=hint) from None


encode = msgspec.json.encode


@functools.cache
def _empty_fields(kind: type[Reply] | None) -> dict[str, Any]:
    fields = {} if kind is None else msgspec.to_builtins(kind())
    fields.pop("success", None)
    return dict(fields)


def encode_error(error: CloveError, kind: type[Reply] | None = None) -> bytes:
    """An error reply, with the usual fields of `kind` at their empty values."""
    return encode({**_empty_fields(kind), **error.fields()})
