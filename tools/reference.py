"""Write the tables of docs/limits.md and docs/configuration.md from the code.

`python tools/reference.py` (or `make reference`). What a table says about a
field is the docstring below the field; what stands around the tables is
written by hand.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import clove
from clove.kernel.config import Config

__all__ = ["Field", "Section", "configuration", "limits", "row"]

DOCS = Path(__file__).resolve().parent.parent / "docs"


class Field(NamedTuple):
    """One field with its default and what its docstring says."""

    name: str
    default: Any
    text: str


class Section(NamedTuple):
    """One struct: where it is in the configuration ("" if it is the top or nowhere)."""

    key: str
    name: str
    title: str
    fields: list[Field]


def _texts(kind: type) -> dict[str, str]:
    """The docstring below each field of a class."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for item, following in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            text = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                text = inspect.cleandoc(str(following.value.value))
            texts[item.target.id] = " ".join(text.split())
    return texts


def _title(kind: type) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def _section(key: str, kind: type) -> Section:
    texts = _texts(kind)
    if issubclass(kind, msgspec.Struct):
        made = kind()
        given = [(field.name, getattr(made, field.name)) for field in msgspec.structs.fields(kind)]
    else:
        given = list(kind._field_defaults.items())  # type: ignore[attr-defined]
    fields = [
        Field(name, value, texts.get(name, ""))
        for name, value in given
        if not isinstance(value, msgspec.Struct)
    ]
    return Section(key, kind.__name__, _title(kind), fields)


def _walk(key: str, struct: msgspec.Struct) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    yield key, type(struct)
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if isinstance(value, msgspec.Struct):
            yield from _walk(f"{key}.{field.name}".lstrip("."), value)


def _limit_types() -> list[type]:
    """Every class named ...Limits with defaults for all its fields, wherever it is."""
    found = {}
    for module in pkgutil.walk_packages(clove.__path__, "clove."):
        if module.name.endswith(("__main__", ".helper", ".init")):
            continue  # these are programs, and run on import
        for name, kind in vars(importlib.import_module(module.name)).items():
            if name.endswith("Limits") and isinstance(kind, type) and _has_defaults(kind):
                found[f"{kind.__module__}.{name}"] = kind
    return [found[name] for name in sorted(found)]


def _has_defaults(kind: type) -> bool:
    if issubclass(kind, msgspec.Struct):
        return not any(field.required for field in msgspec.structs.fields(kind))
    return bool(getattr(kind, "_field_defaults", None))


def limits() -> list[Section]:
    """Every `*Limits` struct: first those of the configuration, then the others."""
    placed = {kind: key for key, kind in _walk("", Config())}
    sections = [
        _section(key, kind)
        for kind, key in placed.items()
        if kind.__name__.endswith("Limits") and kind.__name__ != "Limits"
    ]
    return sections + [
        _section("", kind)
        for kind in _limit_types()
        if kind not in placed and kind.__name__ != "Limits"
    ]


def configuration() -> list[Section]:
    """Every table of the configuration file that is not about limits."""
    return [
        _section(key, kind)
        for key, kind in _walk("", Config())
        if not kind.__name__.endswith("Limits")
    ]


def _shown(field: Field) -> str:
    """A default as a reader wants it."""
    value = field.default
    if isinstance(value, int) and value >= 4096 and "byte" in field.text.lower():
        for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
            if value % (1 << power) == 0:
                return f"{value} ({value >> power} {unit})"
    if value is None:
        return "not set"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return str(list(value))
    if isinstance(value, float):
        return format(Decimal(str(value)), "f")
    return str(value).lower() if isinstance(value, bool) else str(value)


def row(field: Field) -> str:
    """The beginning of a field's line: its name and default, which a test looks for."""
    return f"| `{field.name}` | {_shown(field)} |"


def _table(section: Section) -> str:
    heading = f"`[{section.key}]`" if section.key else f"`{section.name}`"
    lines = [f"### {heading}", f"\n{section.title}\n", "| field | default | |", "|---|---|---|"]
    lines += [
        f"{row(field)} {field.text.replace('|', chr(92) + '|')} |" for field in section.fields
    ]
    return "\n".join(lines) + "\n"


def _write(path: Path, sections: list[Section]) -> None:
    begin, end = "<!-- tables: make reference -->", "<!-- end of the tables -->"
    tables = "\n".join(_table(section) for section in sections if section.fields)
    text = path.read_text()
    pattern = re.compile(re.escape(begin) + ".*" + re.escape(end), re.DOTALL)
    path.write_text(pattern.sub(lambda _: f"{begin}\n\n{tables}\n{end}", text))


def main() -> int:
    """Write both files."""
    _write(DOCS / "limits.md", limits())
    _write(DOCS / "configuration.md", configuration())
    return 0


if __name__ == "__main__":
    sys.exit(main())
