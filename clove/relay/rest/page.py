"""A page to read the OpenAPI document: plain HTML without scripts, made of the document itself. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

__all__ = ["POLICY", "page"]

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid; margin-top: 1.5rem; }
h2 { font-size: 1rem; overflow-wrap: anywhere; }
h2 b { display: inline-block; min-width: 4.5rem; }
pre { overflow-x: auto; }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'"
"""The page's Content-Security-Policy: its own style, and nothing else."""


def page(document: dict[str, Any]) -> bytes:
    """The whole page."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{title}</title><style>{_STYLE}</style>",
        f"<h1>{title}</h1><p>{escape(info['description'])}</p>",
        "<p>For programs: <a href=openapi.json>openapi.json</a></p><main>",
        *_operations(document),
        "</main><h1>Types</h1>",
        *_schemas(document["components"]["schemas"]),
        "</html>",
    ]
    return "\n".join(parts).encode()


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<section><h2><b>{method.upper()}</b> {escape(path)}</h2>"
            yield f"<p>{escape(operation['summary'])}. {escape(_who(operation))}</p>"
            named = [*_parameters(operation), *_types(operation)]
            yield f"<ul>{''.join(named)}</ul></section>"


def _who(operation: dict[str, Any]) -> str:
    return str(operation.get("description", "Without a token."))


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    for each in operation["parameters"]:
        needed = "" if each["required"] else ", optional"
        yield f"<li><code>{escape(each['name'])}</code> in the {each['in']}{needed}</li>"


def _types(operation: dict[str, Any]) -> Iterator[str]:
    if "requestBody" in operation:
        yield f"<li>takes {_linked(operation['requestBody']['content'])}</li>"
    for status, reply in operation["responses"].items():
        yield f"<li>{escape(status)}: {_linked(reply['content'])}</li>"


def _linked(content: dict[str, Any]) -> str:
    return " or ".join(_link(kind, value) for kind, value in content.items())


def _link(kind: str, value: dict[str, Any]) -> str:
    name = value["schema"].get("$ref", "").rpartition("/")[2]
    return f"<a href='#{escape(name)}'>{escape(name)}</a>" if name else escape(kind)


def _schemas(schemas: dict[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        shown = escape(json.dumps(schema.get("properties", schema), indent=1))
        about = escape(schema.get("description", ""))
        yield f"<section id='{escape(name)}'><h2>{escape(name)}</h2><p>{about}</p>"
        yield f"<details><summary>Fields</summary><pre>{shown}</pre></details></section>"
