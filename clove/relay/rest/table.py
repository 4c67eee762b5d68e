"""Every route of the REST API: the only table, with L{TOKEN_ROUTES} and L{LOGIN_ROUTES}."""

from __future__ import annotations

import functools
from typing import Final

import msgspec

from clove.relay.rest import agent_types, audit_types, types
from clove.relay.rest.calls import audit, dashboard, deploy, fleet, logs, machines, stream
from clove.relay.rest.context import Context
from clove.relay.rest.login_routes import LOGIN_ROUTES
from clove.relay.rest.openapi import document
from clove.relay.rest.page import POLICY, page
from clove.relay.rest.problems import Answer
from clove.relay.rest.route import ADMIN, PUBLIC, REACHING, SEEING, Call, Route, Streamed
from clove.relay.rest.token_routes import TOKEN_ROUTES

__all__ = ["ROUTES", "docs", "openapi"]

_V1: Final = "/api/v1"
_MACHINE: Final = f"{_V1}/machines/<machine_id>"
_AGENT: Final = f"{_V1}/agents/<int:agent_id>"


@functools.cache
def _document() -> bytes:
    return msgspec.json.encode(document(ROUTES))


async def openapi(context: Context, call: Call) -> Answer:
    """What the API is."""
    return Answer(200, {"Content-Type": "application/json"}, _document())


@functools.cache
def _page() -> bytes:
    return page(document(ROUTES))


async def docs(context: Context, call: Call) -> Answer:
    """The same, for people."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY}
    return Answer(200, headers, _page())


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", f"{_V1}/health", PUBLIC, fleet.health, types.Health, "The relay answers"),
    Route("GET", "/healthz", PUBLIC, fleet.health, types.Health, "The relay answers"),
    Route("GET", "/readyz", PUBLIC, fleet.ready, types.Ready, "The relay and its store answer"),
    Route("GET", f"{_V1}/openapi.json", PUBLIC, openapi, dict, "This document"),
    Route("GET", f"{_V1}/docs", PUBLIC, docs, bytes, "This document as a page"),
    Route("GET", "/", PUBLIC, dashboard.page, bytes, "The relay's page", in_document=False),
    Route(
        "GET",
        "/page/<name>",
        PUBLIC,
        dashboard.page_file,
        bytes,
        "What the page loads",
        in_document=False,
    ),
    Route("GET", "/metrics", ADMIN, fleet.metrics, bytes, "Numbers for Prometheus"),
    Route("GET", f"{_V1}/status", SEEING, fleet.status, types.Status, "Numbers of the fleet"),
    Route(
        "GET",
        f"{_V1}/machines",
        SEEING,
        machines.list_machines,
        types.Machines,
        "List machines",
        query=types.Page,
    ),
    Route(
        "POST",
        f"{_V1}/machines",
        ADMIN,
        machines.add_machine,
        types.Registered,
        "Register a machine, and make a token for its tunnel",
        status=201,
        body=types.NewMachine,
        lenient=True,
    ),
    Route("GET", _MACHINE, SEEING, machines.get_machine, types.Machine, "One machine"),
    Route(
        "PATCH",
        _MACHINE,
        ADMIN,
        machines.change_machine,
        types.Machine,
        "Rename, label or drain a machine",
        body=types.MachinePatch,
    ),
    Route(
        "DELETE",
        _MACHINE,
        ADMIN,
        machines.remove_machine,
        types.Removed,
        "Remove a machine, its key and its tokens, and cut its tunnel",
    ),
    Route(
        "GET",
        f"{_V1}/agents",
        SEEING,
        fleet.list_agents,
        types.Agents,
        "List remote agents that are connected",
        query=types.OfMachine,
    ),
    Route(
        "GET",
        f"{_MACHINE}/agents",
        REACHING,
        deploy.list_deployed,
        agent_types.DeployedAgents,
        "List the agents on a machine that its kernel shows to the token's bearer",
        query=agent_types.AlsoEnded,
    ),
    Route(
        "POST",
        f"{_V1}/agents/deploy",
        REACHING,
        deploy.deploy,
        agent_types.Deployed,
        "Start a script or a command as a sandboxed agent of a machine, or of all that a selector names",
        status=202,
        body=agent_types.Deployment,
        lenient=True,
        streams=True,
    ),
    Route(
        "POST",
        f"{_AGENT}/stop",
        REACHING,
        deploy.stop,
        agent_types.Stopped,
        "End an agent of a machine",
        body=agent_types.InMachine,
        lenient=True,
    ),
    Route(
        "GET",
        f"{_AGENT}/logs",
        REACHING,
        logs.logs,
        agent_types.Logs,
        "Lines of an agent's output; with follow=true as they come, by server-sent events",
        query=agent_types.LogsFrom,
        streams=True,
    ),
    Route(
        "GET",
        f"{_AGENT}/stream",
        REACHING,
        stream.stream,
        Streamed,
        "An agent's output as bytes, changes of its state and its end, by server-sent events",
        query=agent_types.StreamFrom,
    ),
    Route(
        "GET",
        f"{_V1}/audit",
        ADMIN,
        audit.list_denials,
        audit_types.Audit,
        "What was refused, the newest first",
        query=audit_types.AuditFrom,
    ),
    *TOKEN_ROUTES,
    *LOGIN_ROUTES,
)
