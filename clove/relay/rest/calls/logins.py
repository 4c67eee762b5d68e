"""Computers that ask for a token of their own: begin, look, confirm, refuse, collect."""

from __future__ import annotations

from clove.relay.records import TokenKind
from clove.relay.rest.calls.tokens import HOUR, issued
from clove.relay.rest.context import Context
from clove.relay.rest.login_types import BegunLogin, CollectedLogin, WaitingLogin
from clove.relay.rest.route import Call
from clove.relay.tokens.logins import SECONDS, Confirmation, Login

__all__ = ["begin_login", "collect_login", "confirm_login", "get_login", "refuse_login"]

INTERVAL = 2.0


async def begin_login(context: Context, call: Call) -> BegunLogin:
    """A computer asks; whoever it is."""
    now = context.clock.seconds()
    secret, made = context.logins.begin(call.body.name, call.source, now)
    return BegunLogin(device_code=secret, user_code=made.code, seconds=SECONDS, interval=INTERVAL)


async def get_login(context: Context, call: Call) -> WaitingLogin:
    """A person looks at what is to be confirmed."""
    now = context.clock.seconds()
    return _shown(context.logins.waiting(call.path["user_code"], now), now)


async def confirm_login(context: Context, call: Call) -> WaitingLogin:
    """A person says yes."""
    now, code = context.clock.seconds(), call.path["user_code"]
    found = context.logins.waiting(code, now)
    confirmation = Confirmation(
        token_id=call.identity.token_id,
        name=call.body.name or found.name,
        hours=call.body.expires_hours,
    )
    return _shown(context.logins.confirm(code, confirmation, now), now)


async def refuse_login(context: Context, call: Call) -> WaitingLogin:
    """A person says no."""
    now = context.clock.seconds()
    return _shown(context.logins.refuse(call.path["user_code"], now), now)


async def collect_login(context: Context, call: Call) -> CollectedLogin:
    """The computer asks what has become of it; its token is made now.

    @raise NotAuthenticated: the token of the person who has confirmed it was revoked meanwhile.
    """
    found = context.logins.collect(call.body.device_code, context.clock.seconds())
    if found is None:
        return CollectedLogin(status="waiting")
    await context.tokens.of_id(found.token_id)
    expires = None if found.hours is None else context.wall() + found.hours * HOUR
    made = await issued(context, TokenKind.ADMIN, name=found.name, expires=expires)
    return CollectedLogin(status="confirmed", token=made)


def _shown(login: Login, now: float) -> WaitingLogin:
    return WaitingLogin(
        user_code=login.code,
        name=login.name,
        source=login.source,
        seconds_left=round(login.until - now, 1),
    )
