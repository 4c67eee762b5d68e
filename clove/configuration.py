"""A TOML file as a configuration whose keys are all known; a wrong key is refused with the near one. Blocking."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from clove.errors import InvalidRequest
from clove.regular import read_regular
from clove.spelling import guess

__all__ = ["read_configuration"]

T = TypeVar("T", bound=msgspec.Struct)
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.(.*)`)?$")
_WRONG_WORD = re.compile(r"Invalid enum value '.*' - at `\$\.(.*)`$")
"""What msgspec says of a file."""


def read_configuration(
    path: str,
    kind: type[T],
    *,
    most: int,
    keys: str,
    check: Callable[[dict[str, Any]], None] | None = None,
) -> T:
    """Read one.

    @param kind: what it is; it forbids unknown fields, and so do its tables.
    @param most: bytes of the file.
    @param keys: what lists the keys: a page of the documentation.
    @param check: looks at the tree before its keys are.
    @raise InvalidRequest: the file cannot be read, is not TOML, has an unknown key or a value of the
        wrong type; the text names the key.
    """
    import tomllib

    hint = f"{keys} lists the keys"
    try:
        tree = tomllib.loads(read_regular(path, most).decode())
        if check is not None:
            check(tree)
        return msgspec.convert(tree, kind, str_keys=True)
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} is not TOML: {error}", hint=hint) from None
    except msgspec.ValidationError as error:
        meant = _meant(str(error), kind)
        raise InvalidRequest(f"{path}: {error}", hint=meant + hint) from None


def _meant(problem: str, kind: type[msgspec.Struct]) -> str:
    """What an unknown key or word may have been meant for, from what msgspec says of it; else ""."""
    if found := _UNKNOWN_KEY.match(problem):
        known = getattr(_table(kind, found[2] or ""), "__struct_fields__", ())
        close = guess(found[1], known)
        return f"did you mean {close}? " if close else ""
    if found := _WRONG_WORD.match(problem):
        table, _, key = found[1].rpartition(".")
        words = get_args(_fields(_table(kind, table)).get(key))
        return f"known are {', '.join(map(str, words))}; " if words else ""
    return ""


def _table(kind: Any, place: str) -> Any:
    """The type of a table, whose path has dots; of an empty path the whole file's."""
    for part in filter(None, place.split(".")):
        kind = _fields(kind).get(part)
    return kind


def _fields(kind: Any) -> dict[str, Any]:
    """The keys of a table, and what each is."""
    return get_type_hints(kind) if isinstance(kind, type(msgspec.Struct)) else {}
