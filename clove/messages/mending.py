"""A second look at a request that was refused: what of it can be understood, and what not.

Off the hot path: a request that is right is decoded at once (L{clove.messages.base}) and never
comes here. An optional field that is null counts as absent, at every level. An unknown field is
named, with those that it may have been meant for. On version 1 unknown fields are allowed, and its
clients send what they do not use as empty values ("", 0): there, an empty value that a field
cannot have counts as absent too. Pure.
"""

from __future__ import annotations

import functools
import types
import typing
from typing import Any, Final, NamedTuple

import msgspec

from clove.errors import LimitExceeded
from clove.messages.json_text import MAX_SLOW, outside_strings, parts, slow_numbers
from clove.spelling import near, shown

__all__ = ["Misfit", "is_small", "mend", "without_empty"]

MOST: Final = 8
"""Misfits of one request that are named."""
PARTS: Final = 20_000
"""Commas and brackets of a request that is looked at twice; one with more is refused as it is."""
EMPTY: Final = {"string": (b'""',), "object": (b"{}",), "array": (b"[]",), "number": (b"0", b"0.0")}
"""The empty values of the types of JSON, as their shortest text."""


class Misfit(NamedTuple):
    """Something of a request that was not understood.

    @ivar what: the field, as the path to it, or what is missing.
    @ivar hint: what it may have been meant for.
    """

    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.what}: {self.hint}"


def is_small(payload: bytes) -> bool:
    """Whether a second look at a request takes little time; strings do not count."""
    try:
        outside = outside_strings(payload)
    except LimitExceeded:
        return False
    return parts(outside) <= PARTS and slow_numbers(outside) <= MAX_SLOW


class _Field(NamedTuple):
    """One field.

    @ivar struct: the type of the object, or of those in the array.
    @ivar named: the type of the objects that are by name in the object.
    """

    type: Any
    required: bool
    kinds: frozenset[str]
    struct: type[msgspec.Struct] | None
    named: type[msgspec.Struct] | None


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, _Field]:
    """The fields of a type by their names on the wire."""
    return {
        field.encode_name: _Field(
            field.type, field.required, *_shape(field.type), _named(field.type)
        )
        for field in msgspec.structs.fields(kind)
    }


def _shape(hint: Any) -> tuple[frozenset[str], type[msgspec.Struct] | None]:
    """The types of JSON that a field takes, and the type of the objects in it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _shape(args[0])
    if origin in (typing.Union, types.UnionType):
        shapes = [_shape(each) for each in args]
        structs = [struct for _, struct in shapes if struct is not None]
        return frozenset().union(*(kinds for kinds, _ in shapes)), next(iter(structs), None)
    if origin is list:
        return frozenset({"array"}), _shape(args[0])[1]
    if origin is typing.Literal or hint is str:
        return frozenset({"string"}), None
    if origin is dict:
        return frozenset({"object"}), None
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return frozenset({"object"}), hint
    return frozenset({"number"} if hint in (int, float) else ()), None


def _named(hint: Any) -> type[msgspec.Struct] | None:
    """The type of the objects that a field has by name."""
    args = typing.get_args(hint)
    if typing.get_origin(hint) is dict:
        return _shape(args[1])[1]
    found = [_named(each) for each in args]
    return next((each for each in found if each is not None), None)


class _Mending:
    """One request's second look.

    @ivar misfits: what was not understood, L{MOST} at most.
    """

    def __init__(self, lenient: bool) -> None:
        self._lenient = lenient
        self.misfits: list[Misfit] = []

    def note(self, what: str, hint: str) -> None:
        """Something was not understood."""
        if len(self.misfits) < MOST:
            self.misfits.append(Misfit(what, hint))

    def unknown(self, name: str, fields: dict[str, _Field], path: str) -> None:
        """There is no such field."""
        if len(self.misfits) >= MOST:
            return
        self.note(f"there is no field `{path}{shown(name)}`", near(name, tuple(fields)))

    def of_field(self, field: _Field, value: Any, path: str) -> Any:
        """The value of a field, likewise (L{inside})."""
        if field.named is not None and isinstance(value, dict):
            place, kind = path.removesuffix("."), field.named
            return {
                name: self.inside(kind, each, f"{place}[{shown(name)}].")
                for name, each in value.items()
            }
        return value if field.struct is None else self.inside(field.struct, value, path)

    def inside(self, kind: type[msgspec.Struct], value: Any, path: str) -> Any:
        """A value in a request, without what is null or not known in it."""
        if isinstance(value, list):
            return [
                self.inside(kind, each, f"{path.removesuffix('.')}[{number}].")
                for number, each in enumerate(value)
            ]
        if not isinstance(value, dict):
            return value
        fields = _fields(kind)
        kept = {}
        for name, each in value.items():
            field = fields.get(name)
            if each is None and (field is None or not field.required):
                continue
            if field is None:
                self.unknown(name, fields, path)
                continue
            kept[name] = self.of_field(field, each, f"{path}{name}.")
        if self._lenient:
            for name, instead in getattr(kind, "TOLERATED", {}).items():
                if name not in kept and instead not in kept:
                    kept[name] = ""
                    self.note(f"{path.removesuffix('.')} has no `{name}`", "it counts as empty")
        return kept


def mend(
    kind: type[msgspec.Struct], payload: bytes, *, lenient: bool
) -> tuple[bytes, list[Misfit]]:
    """A request without what is null or not known in it, and what that was.

    Values that are carried and not looked into stay the very bytes.

    @param lenient: also put in what version 1 may leave out (a type's `TOLERATED`: to what
        may stand instead).
    @raise msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it is no object.
    """
    fields = _fields(kind)
    mending = _Mending(lenient)
    kept: dict[str, Any] = {}
    for name, raw in msgspec.json.decode(payload, type=dict[str, msgspec.Raw]).items():
        field = fields.get(name)
        if bytes(raw) == b"null" and (field is None or not field.required):
            continue
        if field is None:
            mending.unknown(name, fields, "")
        elif field.struct is None and field.named is None:
            kept[name] = raw
        else:
            kept[name] = mending.of_field(field, msgspec.json.decode(raw), f"{name}.")
    return msgspec.json.encode(kept), mending.misfits


def without_empty(kind: type[msgspec.Struct], payload: bytes) -> bytes:
    """A request without those optional fields that have an empty value and cannot have it.

    Of a request's objects, too, such as SPAWN's limits.
    """
    fields = _fields(kind)
    kept: dict[str, msgspec.Raw] = {}
    for name, raw in msgspec.json.decode(payload, type=dict[str, msgspec.Raw]).items():
        field, text = fields.get(name), bytes(raw)
        if field is not None and not field.required and _is_misfit(text, field):
            continue
        if field is not None and field.struct is not None and text.startswith(b"{"):
            raw = msgspec.Raw(without_empty(field.struct, text))
        kept[name] = raw
    return msgspec.json.encode(kept)


def _is_misfit(text: bytes, field: _Field) -> bool:
    if len(text) > 3 or not any(text in EMPTY[kind] for kind in field.kinds):
        return False
    try:
        msgspec.json.decode(text, type=field.type)
    except msgspec.ValidationError:
        return True
    return False
