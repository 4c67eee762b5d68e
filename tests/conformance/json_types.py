"""The types of JSON, by the names that docs/wire.md gives them."""

from __future__ import annotations

from typing import Any

VALUES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "string": "x",
    "array": [],
    "object": {},
}
"""One value of each type of JSON."""


def types_of(value: object) -> set[str]:
    """The names of a value's types; an integer is a number as well."""
    for kind, name in (
        (bool, "boolean"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
        (float, "number"),
    ):
        if isinstance(value, kind):
            return {name}
    return {"null"} if value is None else {"integer", "number"}


def is_one_of(value: object, kinds: str) -> bool:
    """Whether the value has one of the types."""
    return kinds == "any" or bool(types_of(value) & set(kinds.split("|")))
