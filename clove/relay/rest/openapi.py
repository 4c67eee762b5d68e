"""The OpenAPI document, made of the table of routes and the types of messages. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from clove._version import __version__
from clove.messages.base import Request
from clove.relay.rest.problems import PROBLEM_JSON
from clove.relay.rest.route import Route, Streamed
from clove.relay.rest.types import Problem

__all__ = ["document"]

_EVENTS: Final = "text/event-stream"
_REF: Final = "#/components/schemas/{name}"
_VARIABLE: Final = re.compile(r"<(?:([^<>:]+):)?(\w+)>")
_ABOUT: Final = "The REST API of a Clove relay. Errors are problem details (RFC 9457)."
_REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "Deployment": {
        "allOf": [
            {
                "oneOf": [
                    {
                        "required": ["machine_id"],
                        "properties": {
                            "machine_id": {"type": "string", "minLength": 1},
                            "selector": {"type": "null"},
                        },
                    },
                    {
                        "required": ["selector"],
                        "properties": {
                            "selector": {"type": "object"},
                            "machine_id": {"maxLength": 0},
                            "attach": {"enum": [False, None]},
                        },
                    },
                ]
            },
            {
                "oneOf": [
                    {
                        "required": ["script_name"],
                        "properties": {
                            "script_name": {"type": "string", "minLength": 1},
                            "command": {"maxItems": 0},
                            "archive": {"maxLength": 0},
                            "requirements": {"maxLength": 0},
                            "stdin": {"enum": ["closed", None]},
                            "tty": {"type": "null"},
                        },
                    },
                    {
                        "required": ["command"],
                        "properties": {
                            "command": {"type": "array", "minItems": 1},
                            "script_name": {"maxLength": 0},
                        },
                        "anyOf": [
                            {"properties": {"archive": {"maxLength": 0}}},
                            {"properties": {"restart_policy": {"enum": ["never", None]}}},
                        ],
                    },
                ]
            },
        ]
    },
    "NewAgentToken": {
        "anyOf": [
            {"required": ["target_machine"], "properties": {"target_machine": {"minLength": 1}}},
            {"required": ["target_machines"], "properties": {"target_machines": {"minItems": 1}}},
            {"required": ["labels"], "properties": {"labels": {"minProperties": 1}}},
        ]
    },
}
"""What types do not say of some requests."""


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, version 3.1."""
    routes = tuple(route for route in routes if route.in_document)
    kinds = [
        kind
        for route in routes
        for kind in (route.reply, route.body, route.query)
        if kind not in (None, bytes, dict, Streamed)
    ]
    _, schemas = msgspec.json.schema_components([*kinds, Problem], ref_template=_REF)
    for kind in {route.body for route in routes if route.body is not None}:
        schemas[kind.__name__] |= _REQUESTS.get(kind.__name__, {})
    for schema in schemas.values():
        if schema.get("additionalProperties") is False:
            _allow_null(schema)
    for route in routes:
        if route.body is not None and route.lenient:
            schemas[route.body.__name__]["additionalProperties"] = True
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _VARIABLE.sub(r"{\2}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    queries = {route.query.__name__ for route in routes if route.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clove relay", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": {name: each for name, each in schemas.items() if name not in queries},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _allow_null(schema: dict[str, Any]) -> None:
    """In requests, null in an optional field is its absence, and in one that is not known nothing."""
    schema["additionalProperties"] = {"type": "null"}
    for name, each in schema["properties"].items():
        if name not in schema.get("required", ()):
            schema["properties"][name] = {"anyOf": [each, {"type": "null"}]}


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.call.__name__ + ("z" if route.path.endswith("z") else ""),
        "parameters": [*_path_parameters(route), *_query_parameters(route.query, schemas)],
        "responses": _responses(route),
        "security": [{"token": []}] if route.kinds is not None else [],
    }
    if route.kinds is not None:
        kinds = ", ".join(sorted(kind.value for kind in route.kinds))
        made["description"] = f"With a token of a kind in: {kinds}."
    if route.body is not None:
        name = route.body.__name__
        made["requestBody"] = {
            "required": name in _REQUESTS or bool(schemas[name].get("required")),
            "content": {"application/json": {"schema": _named(route.body)}},
        }
    return made


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 0} if kind == "int" else {"type": "string"},
        }
        for kind, name in _VARIABLE.findall(route.path)
    ]


def _query_parameters(kind: type[Request] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if kind is None:
        return []
    found = schemas[kind.__name__]
    required = found.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in found["properties"].items()
    ]


def _responses(route: Route) -> dict[str, Any]:
    problem = {
        "description": "What went wrong",
        "content": {PROBLEM_JSON: {"schema": _named(Problem)}},
    }
    content: dict[str, Any]
    if route.reply is Streamed:
        content = {_EVENTS: {"schema": {"type": "string"}}}
    elif route.reply is bytes:
        kind = "text/html" if route.path.endswith("/docs") else "text/plain"
        content = {kind: {"schema": {"type": "string"}}}
    elif route.reply is dict:
        content = {"application/json": {"schema": {"type": "object"}}}
    else:
        content = {"application/json": {"schema": _named(route.reply)}}
    if route.streams:
        content[_EVENTS] = {"schema": {"type": "string"}}
    good = {"description": route.summary, "content": content}
    return {str(route.status): good, "default": problem}


def _named(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
