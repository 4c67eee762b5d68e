"""Write `clove/client/results/`: what the clients' calls give, as TypedDicts, from `clove/messages/`.

`python tools/results.py` (or `make reference`). A reply is a plain dict at run time; these types are
for editors and type checkers, which so know the keys of `client.think(...)`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import keyword
import operator
import pkgutil
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

import clove.client
import clove.messages
from clove.messages.base import Reply, Request

__all__ = ["PACKAGE", "files"]

PACKAGE = Path(clove.client.__path__[0]) / "results"
Struct = type[msgspec.Struct]
TYPING = ("Any", "Literal", "NotRequired", "TypedDict")
BETWEEN_RELAYS = frozenset({"relay"})
"""Modules with messages that no call of a client gives."""
ACCEPTED = {"request_id": "NotRequired[str | int]", "status": "NotRequired[str]"}
"""What the reply to a call with `"async": true` has, instead of all else."""


def _structs() -> Iterator[Struct]:
    """Every type of the messages, in the order of the modules."""
    for module in sorted(pkgutil.iter_modules(clove.messages.__path__), key=lambda one: one.name):
        if module.name in BETWEEN_RELAYS:
            continue
        path = f"clove.messages.{module.name}"
        for kind in vars(importlib.import_module(path)).values():
            ours = isinstance(kind, type) and kind.__module__ == path
            if ours and issubclass(kind, msgspec.Struct) and kind not in (Reply, Request):
                yield kind


def _hints(kind: Struct) -> dict[str, Any]:
    """The type of each field by its name on the wire."""
    hints = typing.get_type_hints(kind)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}


def _within(hint: Any) -> Iterator[Struct]:
    """The types that a type is made of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
        for inner in _hints(hint).values():
            yield from _within(inner)
    for inner in typing.get_args(hint):
        yield from _within(inner)


def _results() -> list[Struct]:
    """The replies and what is in them, and what no request has in it."""
    kinds = list(_structs())
    asked = {one for kind in kinds if issubclass(kind, Request) for one in _within(kind)}
    given = {one for kind in kinds if issubclass(kind, Reply) for one in _within(kind)}
    return [kind for kind in kinds if kind in given or kind not in asked]


def _shown(hint: Any) -> str:
    """A type as the decoded JSON has it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, msgspec.Raw) or (origin is types.UnionType and msgspec.Raw in inner):
        return "Any"
    if hint is types.NoneType:
        return "None"
    if origin in (types.UnionType, typing.Union):
        if msgspec.UnsetType in inner:
            there = functools.reduce(
                operator.or_, (one for one in inner if one is not msgspec.UnsetType)
            )
            return f"NotRequired[{_shown(there)}]"
        if any(isinstance(one, type) and issubclass(one, msgspec.Struct) for one in inner):
            inner = tuple(one for one in inner if typing.get_origin(one) is not dict)  # an error's
        return " | ".join(_shown(one) for one in inner)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin in (list, tuple):
        return f"list[{_shown(inner[0])}]"
    if origin is dict:
        return f"dict[{', '.join(map(_shown, inner))}]"
    assert isinstance(hint, type), hint
    return hint.__name__


def _definition(kind: Struct, accepted: bool) -> str:
    """The TypedDict for a message's type.

    @param accepted: the call can be asynchronous.
    """
    fields = {name: _shown(hint) for name, hint in _hints(kind).items()}
    if issubclass(kind, Reply):
        del fields["success"]  # the base has it
    if accepted:
        fields |= {name: text for name, text in ACCEPTED.items() if name not in fields}
    text = inspect.cleandoc(kind.__doc__ or "")
    if any(keyword.iskeyword(name) for name in fields):  # a class cannot have such a field
        if issubclass(kind, Reply):
            fields = {"success": "bool", **fields}
        items = ", ".join(f'"{name}": {hint}' for name, hint in fields.items())
        return f'{kind.__name__} = TypedDict("{kind.__name__}", {{{items}}})\n"""{text}"""\n'
    lines = [f"class {kind.__name__}({'Reply' if issubclass(kind, Reply) else 'TypedDict'}):"]
    doc = f'"""{text}\n"""' if "\n" in text else f'"""{text}"""'
    lines += [f"    {line}".rstrip() for line in doc.splitlines()]
    lines += ["", *(f"    {name}: {hint}" for name, hint in fields.items())]
    return "\n".join(lines) + "\n"


def _formatted(name: str, text: str) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    words = [str(ruff), "format", "--stdin-filename", str(PACKAGE / name), "-"]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout


def _module(name: str, kinds: list[Struct], homes: dict[str, str]) -> str:
    """One module."""
    source = importlib.import_module(f"clove.messages.{name}")
    accepted = {
        f"{kind.removesuffix('Request')}Reply"
        for kind, value in vars(source).items()
        if kind.endswith("Request") and "async_" in getattr(value, "__struct_fields__", ())
    }
    body = "\n\n".join(_definition(kind, kind.__name__ in accepted) for kind in kinds)
    words = set(
        body.replace("[", " ").replace("]", " ").replace("(", " ").replace(")", " ").split()
    )
    words |= {word.rstrip(",:") for word in words}
    used = [word for word in TYPING if word in words]
    lines = [
        f'"""What the calls of `clove.messages.{name}` give. Made by tools/results.py: do not edit."""',
        "",  # no `from __future__ import annotations`: it hides NotRequired at run time
        f"from typing import {', '.join(used)}" if used else "",
    ]
    others: dict[str, list[str]] = {}
    for word in sorted(words & homes.keys()):
        if homes[word] != name:
            others.setdefault(homes[word], []).append(word)
    if used and others:
        lines.append("")
    lines += [
        f"from clove.client.results.{home} import {', '.join(found)}"
        for home, found in sorted(others.items())
    ]
    names = ", ".join(f'"{kind.__name__}"' for kind in sorted(kinds, key=lambda one: one.__name__))
    return "\n".join([*lines, f"\n__all__ = [{names}]\n\n\n"]) + body


BASE = '''"""What every reply has. Made by tools/results.py: do not edit."""

from typing import NotRequired, TypedDict

__all__ = ["Reply"]


class Reply(TypedDict):
    """A reply's JSON object.

    @ivar success: False without an exception is a result: a command that failed, say.
    @ivar warnings: on version 1 of the protocol: what of the request was not understood.
    """

    success: bool
    warnings: NotRequired[list[str]]
'''


def files() -> dict[str, str]:
    """The package's files: names and contents."""
    modules: dict[str, list[Struct]] = {}
    for kind in _results():
        modules.setdefault(kind.__module__.rpartition(".")[2], []).append(kind)
    homes = {kind.__name__: name for name, kinds in modules.items() for kind in kinds}
    homes["Reply"] = "base"
    written = {"base.py": BASE}
    for name, kinds in modules.items():
        written[f"{name}.py"] = _module(name, kinds, homes)
    imports: dict[str, list[str]] = {}
    for word, home in sorted(homes.items()):
        imports.setdefault(home, []).append(word)
    lines = [
        '"""What the clients\' calls give, as types. Made by tools/results.py: do not edit."""\n'
    ]
    lines += [
        f"from clove.client.results.{home} import {', '.join(found)}"
        for home, found in sorted(imports.items())
    ]
    lines.append(f"\n__all__ = [{', '.join(repr(word) for word in sorted(homes))}]")
    written["__init__.py"] = "\n".join(lines) + "\n"
    return {name: _formatted(name, text) for name, text in sorted(written.items())}


def main() -> int:
    """Write the package."""
    PACKAGE.mkdir(exist_ok=True)
    written = files()
    for path in PACKAGE.glob("*.py"):
        if path.name not in written:
            path.unlink()
    for name, text in written.items():
        (PACKAGE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
