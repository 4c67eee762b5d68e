"""The routes of the REST API by which a computer gets a token of its own: a part of the table."""

from __future__ import annotations

from typing import Final

from clove.relay.rest import login_types
from clove.relay.rest.calls import logins
from clove.relay.rest.route import ADMIN, PUBLIC, Route

__all__ = ["LOGIN_ROUTES"]

_LOGINS: Final = "/api/v1/logins"
_LOGIN: Final = f"{_LOGINS}/<string(length=9):user_code>"

LOGIN_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        _LOGINS,
        PUBLIC,
        logins.begin_login,
        login_types.BegunLogin,
        "Ask for a token, which a person confirms on the relay's page",
        status=201,
        body=login_types.NewLogin,
    ),
    Route(
        "POST",
        f"{_LOGINS}/token",
        PUBLIC,
        logins.collect_login,
        login_types.CollectedLogin,
        "Ask whether it was confirmed; then the token is in the reply, once",
        body=login_types.LoginSecret,
    ),
    Route(
        "GET",
        _LOGIN,
        ADMIN,
        logins.get_login,
        login_types.WaitingLogin,
        "The computer that waits with this code",
    ),
    Route(
        "POST",
        f"{_LOGIN}/confirm",
        ADMIN,
        logins.confirm_login,
        login_types.WaitingLogin,
        "Give it a token of kind admin",
        body=login_types.LoginConfirmation,
    ),
    Route(
        "DELETE",
        _LOGIN,
        ADMIN,
        logins.refuse_login,
        login_types.WaitingLogin,
        "Refuse it",
    ),
)
