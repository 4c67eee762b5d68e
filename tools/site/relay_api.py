"""The reference of the relay's REST API, from the OpenAPI document that a relay serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clove.relay.rest.openapi import document
from clove.relay.rest.table import ROUTES

__all__ = ["write_relay_api"]

HEAD = """# The relay's REST API

This page is made from the OpenAPI {openapi} document that each relay serves at `/api/v1/openapi.json` (with a page to try it at
`/api/v1/docs`). Requests bear `Authorization: Bearer TOKEN`; [Fleet](../docs/fleet.md) says what tokens there are and what the
calls mean.

"""


def write_relay_api(path: Path) -> None:
    """Write the page."""
    described = document(ROUTES)
    parts = [HEAD.format(openapi=described["openapi"])]
    for route, methods in described["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(method.upper(), route, operation))
    parts.append("## Objects\n")
    for name, schema in sorted(described["components"]["schemas"].items()):
        parts.append(_schema(name, schema))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))


def _operation(method: str, route: str, operation: dict[str, Any]) -> str:
    lines = [f"## {method} {route}\n", f"{_escaped(operation.get('summary', ''))}\n"]
    if text := operation.get("description"):
        lines.append(f"{_escaped(text)}\n")
    if parameters := operation.get("parameters"):
        lines += ["| parameter | in | type | |", "|---|---|---|---|"]
        lines += [
            f"| `{each['name']}` | {each['in']} | {_kind(each.get('schema', {}))} | "
            f"{_escaped(each.get('description', ''))} |"
            for each in parameters
        ]
        lines.append("")
    if body := operation.get("requestBody"):
        kinds = ", ".join(
            f"{_kind(each['schema'])} ({what})" for what, each in body["content"].items()
        )
        lines.append(f"Body: {kinds}\n")
    lines += ["| status | body | |", "|---|---|---|"]
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        kinds = ", ".join(_kind(each.get("schema", {})) or what for what, each in content.items())
        lines.append(f"| {status} | {kinds} | {_escaped(answer.get('description', ''))} |")
    return "\n".join([*lines, ""])


def _schema(name: str, schema: dict[str, Any]) -> str:
    lines = [f"({_anchor(name)})=\n### {name}\n"]
    if text := schema.get("description"):
        lines.append(f"{_escaped(text)}\n")
    needed = schema.get("required", ())
    if fields := schema.get("properties"):
        lines += ["| field | type | |", "|---|---|---|"]
        for key, each in fields.items():
            text = _escaped(each.get("description", ""))
            remark = "required" if key in needed else _default(each)
            lines.append(f"| `{key}` | {_kind(each)} | {'. '.join(filter(None, (text, remark)))} |")
        lines.append("")
    elif "enum" in schema:
        lines.append(f"{_kind(schema)}\n")
    return "\n".join(lines)


def _kind(schema: dict[str, Any]) -> str:
    """A type in a few words."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    for key in ("anyOf", "oneOf"):
        if choices := schema.get(key):
            return " or ".join(dict.fromkeys(filter(None, map(_kind, choices))))
    if choices := schema.get("enum"):
        return " or ".join(f"`{each}`" for each in choices)
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {})) or 'anything'}"
    if isinstance(kind, list):
        return " or ".join(kind)
    return str(kind)


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    return "" if value in (None, "", [], {}) else f"default `{value}`"


def _anchor(name: str) -> str:
    return f"object-{name.lower()}"


def _escaped(text: str) -> str:
    """Text of one line in which nothing is markup."""
    text = " ".join(text.split())
    for mark in "\\`*_{}[]<>#|$~":
        text = text.replace(mark, f"\\{mark}")
    return text
