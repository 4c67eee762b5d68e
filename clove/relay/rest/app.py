"""What is done for every request of the REST API, in this order and with no stage left out.

Whether it may come from there at all, who asks, whether that token may call this route, whether it
comes too often; then the request is decoded, the call made and its reply encoded. Errors become
replies in one place.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from klein import Klein
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import (
    CloveError,
    InvalidRequest,
    NotAuthenticated,
    PermissionDenied,
    RateLimited,
)
from clove.messages import base
from clove.relay.records import Identity, TokenKind
from clove.relay.rest.context import Context
from clove.relay.rest.noting import KIND_RULE, note_refusal
from clove.relay.rest.problems import Answer, problem_of
from clove.relay.rest.route import Call, Route, Streamed
from clove.relay.tokens.lockout import source_of
from clove.sharing.rate_limiter import RateLimiter

__all__ = ["Api"]

_SEE: Final = "GET /api/v1/openapi.json has the fields of each route"
_MOST_KEY: Final = 256
_NO_ONE: Final = Identity(token_id="", kind=TokenKind.JOIN)
"""Who asks without a token; may see nothing."""


class Api:
    """Serves a table of routes.

    @ivar klein: the routes as Klein has them.
    """

    log = Logger()

    def __init__(self, context: Context, routes: tuple[Route, ...]) -> None:
        self._context = context
        self._rates = RateLimiter(context.limits.rate, context.limits.burst)
        self.klein = Klein()
        self.klein.url_map.merge_slashes = False
        self.klein.url_map.strict_slashes = False  # /machines/ is /machines; nothing is redirected
        for route in routes:
            self._add(route)
        self.klein.handle_errors(Exception)(self._failed)

    def _add(self, route: Route) -> None:
        async def serve(request: Any, **path: Any) -> None:
            request.route = route.path
            request.machine_id = str(path.get("machine_id", ""))
            answer = await self._serve(route, request, path)
            if isinstance(answer, Streamed) and request.method == b"HEAD":
                request.setHeader("Content-Type", answer.content_type)
            elif isinstance(answer, Streamed):
                await answer.write(request)
            else:
                _write(request, answer)

        self.klein.route(
            route.path, methods=[route.method], endpoint=f"{route.method} {route.path}"
        )(serve)

    async def _serve(self, route: Route, request: Any, path: dict[str, Any]) -> Answer | Streamed:
        identity = await self._identify(route, request)
        self._check_rate(identity, request)
        _check_kind(route, identity)
        call = Call(
            identity,
            path,
            _query(route, request),
            _body(route, request),
            _idempotency_key(request),
            request.getHeader("last-event-id") or "",
            "text/event-stream" in (request.getHeader("accept") or ""),
            request.source,
        )
        request.machine_id = request.machine_id or _machine_of(call)
        reply = await route.call(self._context, call)
        if isinstance(reply, Answer | Streamed):
            return reply
        headers = {"Content-Type": "application/json"}
        return Answer(route.status, headers, msgspec.json.encode(reply))

    async def _identify(self, route: Route, request: Any) -> Identity:
        if route.kinds is None:
            return _NO_ONE
        identity = await self._context.tokens.identify(_bearer(request), request.source)
        request.token_id = identity.token_id
        return identity

    def _check_rate(self, identity: Identity, request: Any) -> None:
        key = identity.token_id or source_of(request.source)
        now = self._context.clock.seconds()
        wait = self._rates.wait(key, now)
        if wait > 0:
            raise RateLimited(
                "too many requests",
                hint=f"wait {max(wait, 0.1):.1f} s (limits.rest.rate)",
                retry_after=wait,
            )
        self._rates.take(key, now)

    def _failed(self, request: Any, failure: Failure) -> None:
        if failure.check(CancelledError):  # the client is gone
            return
        assert failure.value is not None
        note_refusal(self._context.denials, request, failure.value)
        answer = problem_of(failure.value)
        if answer.status == 500 and not failure.check(CloveError):
            self.log.failure("a request could not be served", failure=failure)
        _write(request, answer)


def _machine_of(call: Call) -> str:
    """The machine that a request's body or query names; "": none."""
    return str(getattr(call.body, "machine_id", "") or getattr(call.query, "machine_id", "") or "")


def _bearer(request: Any) -> str:
    values = request.requestHeaders.getRawHeaders("authorization", [])
    if not values:
        raise NotAuthenticated(
            "a token is needed", hint="send it in the header Authorization: Bearer TOKEN"
        )
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer":
        raise NotAuthenticated(
            "the header Authorization is not understood", hint="send one, Bearer TOKEN"
        )
    return str(token.strip())


def _idempotency_key(request: Any) -> str:
    key = request.getHeader("idempotency-key") or ""
    if len(key) > _MOST_KEY:  # cut to size it might be another request's
        raise InvalidRequest(f"an Idempotency-Key has at most {_MOST_KEY} characters")
    return str(key)


def _query(route: Route, request: Any) -> Any:
    if route.query is None:
        return None
    try:
        given = {key.decode(): values[-1].decode() for key, values in request.args.items()}
        return msgspec.convert(given, route.query, strict=False)
    except (UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InvalidRequest(f"bad query: {error}", hint=_SEE) from None


def _body(route: Route, request: Any) -> Any:
    if route.body is None:
        return None
    payload = request.content.read()
    try:
        if route.lenient:
            return _lenient(route.body, payload)
        return base.decode(route.body, payload)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, hint=_SEE) from None


def _lenient(kind: type[base.Request], payload: bytes) -> Any:
    """What is known of a body."""
    try:
        return base.decoder(kind)(payload or b"{}")
    except base.MALFORMED as error:
        return base.read(kind, payload, error, lenient=True)[0]


def _check_kind(route: Route, identity: Identity) -> None:
    if route.kinds is not None and identity.kind not in route.kinds:
        kinds = " or ".join(sorted(kind.value for kind in route.kinds))
        raise PermissionDenied(
            f"not with a token of kind {identity.kind.value}",
            rule=KIND_RULE,
            hint=f"use one of kind {kinds}",
        )


def _write(request: Any, answer: Answer) -> None:
    request.setResponseCode(answer.status)
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    request.setHeader("Content-Length", str(len(answer.body)))
    request.write(answer.body)
