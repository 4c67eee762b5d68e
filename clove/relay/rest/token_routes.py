"""The routes of the REST API that are about tokens: a part of the table."""

from __future__ import annotations

from typing import Final

from clove.relay.rest import token_types, types
from clove.relay.rest.calls import tokens
from clove.relay.rest.route import ADMIN, SEEING, Route

__all__ = ["TOKEN_ROUTES"]

_V1: Final = "/api/v1"
_TOKEN: Final = f"{_V1}/tokens/<string(length=16):token_id>"

TOKEN_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        f"{_V1}/token",
        SEEING,
        tokens.own_token,
        token_types.Token,
        "The token that is shown, without its value",
    ),
    Route(
        "DELETE",
        f"{_V1}/token",
        SEEING,
        tokens.revoke_own_token,
        token_types.Revoked,
        "Revoke the token that is shown, and cut what it has opened",
    ),
    Route(
        "GET",
        f"{_V1}/tokens",
        ADMIN,
        tokens.list_tokens,
        token_types.Tokens,
        "List tokens without their values",
        query=types.Page,
    ),
    Route(
        "POST",
        f"{_V1}/tokens/machine",
        ADMIN,
        tokens.issue_machine,
        token_types.IssuedToken,
        "Make a token for a tunnel of version 1",
        status=201,
        body=token_types.NewMachineToken,
    ),
    Route(
        "POST",
        f"{_V1}/tokens/join",
        ADMIN,
        tokens.issue_join,
        token_types.IssuedToken,
        "Make a one-time token with which a machine joins",
        status=201,
        body=token_types.JoinToken,
    ),
    Route(
        "POST",
        f"{_V1}/tokens/agent",
        ADMIN,
        tokens.issue_agent,
        token_types.IssuedToken,
        "Make a token for remote agents",
        status=201,
        body=token_types.NewAgentToken,
    ),
    Route(
        "POST",
        f"{_V1}/tokens/admin",
        ADMIN,
        tokens.issue_admin,
        token_types.IssuedToken,
        "Make a token for an administrator",
        status=201,
        body=token_types.NewAdminToken,
    ),
    Route(
        "DELETE",
        _TOKEN,
        ADMIN,
        tokens.revoke_token,
        token_types.Revoked,
        "Revoke a token, and cut what it has opened",
    ),
    Route(
        "PATCH",
        _TOKEN,
        ADMIN,
        tokens.narrow_token,
        token_types.Token,
        "Narrow a token, and cut what it has opened and does not reach any more",
        body=token_types.TokenPatch,
    ),
    Route("GET", _TOKEN, ADMIN, tokens.get_token, token_types.Token, "One token without its value"),
    Route(
        "POST",
        f"{_TOKEN}/rotate",
        ADMIN,
        tokens.rotate_token,
        token_types.Rotated,
        "Make a token like this one, which ends after a grace period",
        status=201,
        body=token_types.Rotation,
    ),
)
