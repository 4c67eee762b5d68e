"""One deployment on many machines: some at a time, with a result for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from clove.errors import (
    CloveError,
    Internal,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from clove.relay.machines.machines import visible_to
from clove.relay.records import Identity, RepeatKey
from clove.relay.rest.agent_types import Deployed, Deployment, OnMachine
from clove.relay.rest.context import Context
from clove.relay.rest.event_stream import EventStream
from clove.relay.rest.route import Call, Streamed

__all__ = ["deploy_on_all"]

_PAGE = 500
Deploy = Callable[[Context, Identity, Deployment, RepeatKey | None], Coroutine[Any, Any, Deployed]]
_log = Logger()


class Chosen(msgspec.Struct, frozen=True):
    """The machines that a request is for, kept for those that repeat it."""

    machines: list[str]


async def deploy_on_all(context: Context, call: Call, deploy: Deploy) -> Deployed | Streamed:
    """Start it on every machine that is chosen; as events, if the client asks for these.

    With an idempotency key the first request chooses: what repeats it goes on with its machines, and no others.

    @raise NotFound: no machine is chosen.
    @raise LimitExceeded: too many are.
    """
    named = RepeatKey(call.identity.token_id, call.idempotency_key)

    async def choose(doubtful: bool = False) -> Chosen:
        return Chosen(machines=await _choose(context, call))

    if call.idempotency_key:
        body = msgspec.json.encode(call.body)
        machines = (await context.repeats.once(named, body, Chosen, choose)).machines
    else:
        machines = (await choose()).machines
    if call.wants_events:
        return Streamed(lambda request: _write(context, call, deploy, machines, request))
    results: list[OnMachine] = []
    await _each(context, call, deploy, machines, results.append)
    return _whole(call.body, results)


async def _write(
    context: Context, call: Call, deploy: Deploy, machines: list[str], request: Any
) -> None:
    events = EventStream(request, context.clock, lambda: None)
    events.start(b"a result for each machine")
    results: list[OnMachine] = []

    def tell(result: OnMachine) -> None:
        results.append(result)
        events.event("result", result)

    try:
        await _each(context, call, deploy, machines, tell)
        events.event("done", msgspec.structs.replace(_whole(call.body, results), results=[]))
    finally:
        events.stop()


async def _choose(context: Context, call: Call) -> list[str]:
    """Ids of machines, of those that the bearer may see.

    @raise NotFound: there are none.
    @raise LimitExceeded: there are too many.
    """
    machines = [each async for each in _matching(context, call)]
    if not machines:
        raise NotFound(
            "no machine that the token reaches is chosen",
            hint="name selector.machines, selector.labels or selector.all, out of GET /api/v1/machines "
            "(clove machines list)",
        )
    return machines


async def _matching(context: Context, call: Call) -> AsyncIterator[str]:
    """They, by id."""
    selector, most, after = call.body.selector, context.limits.deploy_machines, ""
    named = set(selector.machines)
    if not (named or selector.labels or selector.all):
        return
    count = 0
    while True:
        page = await context.machines.page(visible_to(call.identity), after, _PAGE)
        for record in page:
            if (named and record.machine_id not in named) or not (
                selector.labels.items() <= record.labels.items()
            ):
                continue
            count += 1
            if count > most:
                raise LimitExceeded(
                    f"more than {most} machines are chosen",
                    hint="choose fewer, by labels; limits.rest.deploy_machines",
                )
            yield record.machine_id
        if len(page) < _PAGE:
            return
        after = page[-1].machine_id


async def _each(
    context: Context,
    call: Call,
    deploy: Deploy,
    machines: list[str],
    tell: Callable[[OnMachine], object],
) -> None:
    """Start it on each, some at a time. What was begun is given up when this is cancelled."""
    waiting = iter(machines)

    async def work() -> None:
        for machine_id in waiting:
            tell(await _on_one(context, call, deploy, machine_id))

    width = min(len(machines), context.limits.deploy_at_once)
    workers = [Deferred.fromCoroutine(work()) for _ in range(width)]
    whole = DeferredList(workers, fireOnOneErrback=True, consumeErrors=True)
    try:
        await whole
    finally:
        for each in workers:
            each.cancel()


async def _on_one(context: Context, call: Call, deploy: Deploy, machine_id: str) -> OnMachine:
    asked = msgspec.structs.replace(call.body, machine_id=machine_id, selector=None)
    key = call.idempotency_key
    named = RepeatKey(call.identity.token_id, key, machine_id) if key else None
    try:
        made = await deploy(context, call.identity, asked, named)
    except CloveError as error:
        if isinstance(error, PermissionDenied):
            context.denials.add(
                "kernel",
                call.source,
                token_id=call.identity.token_id,
                machine_id=machine_id,
                what="POST /api/v1/agents/deploy",
                code=error.code,
                rule=error.rule,
                error=error.message,
            )
        return _refused(machine_id, error)
    except Exception:
        _log.failure("a deployment on {machine} could not be made", machine=machine_id)
        return _refused(machine_id, Internal("internal error", hint="the relay's log has more"))
    return OnMachine(
        machine_id=machine_id,
        status="sent" if made.status == "sent" else "deployed",
        agent_id=made.agent_id,
        agent_name=made.agent_name,
    )


def _refused(machine_id: str, error: CloveError) -> OnMachine:
    return OnMachine(
        machine_id=machine_id,
        status="unavailable" if isinstance(error, Unavailable) else "failed",
        error=error.message,
        code=error.code,
        hint=error.hint,
        rule=error.rule,
    )


def _whole(asked: Deployment, results: list[OnMachine]) -> Deployed:
    good = sum(each.status in ("deployed", "sent") for each in results)
    return Deployed(
        status="deployed" if good == len(results) else "partly" if good else "failed",
        machine_id="",
        script_name=asked.script_name,
        agent_id=0,
        agent_name="",
        results=sorted(results, key=lambda each: each.machine_id),
    )
