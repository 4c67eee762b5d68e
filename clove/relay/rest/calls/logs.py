"""An agent's output: what there is, or as it comes, by server-sent events."""

from __future__ import annotations

from typing import Any

from clove.client.call import Call as KernelCall
from clove.client.call import StreamCall
from clove.errors import CloveError
from clove.framing import Opcode
from clove.relay.kernel_client import NO_SENSE, KernelClient
from clove.relay.rest.agent_types import Logs
from clove.relay.rest.context import Context
from clove.relay.rest.event_stream import EventStream
from clove.relay.rest.problems import problem_of
from clove.relay.rest.reaching import kernel_of, unintelligible
from clove.relay.rest.route import Call, Streamed

__all__ = ["logs"]


async def logs(context: Context, call: Call) -> Logs | Streamed:
    """Lines from an offset on; with C{follow} as events, from that after the last one seen."""
    query = call.query
    since = query.since
    if call.last_event_id.isascii() and call.last_event_id.isdecimal():
        since = int(call.last_event_id[:18])
    agent_id = int(call.path["agent_id"])
    if query.follow:
        return Streamed(lambda request: _follow(context, call, agent_id, since, request))
    async with kernel_of(context, call.identity, query.machine_id) as client:
        found = await client.logs(agent_id=agent_id, since=since)
        return Logs(
            machine_id=query.machine_id,
            agent_id=agent_id,
            lines=[dict(line) for line in found["lines"]],
            next=int(found["next"]),
            lost=int(found["lost"]),
        )


class _Following:
    """Lines to one HTTP client, at its pace: while it takes none, none are read from the kernel."""

    def __init__(self, request: Any, client: KernelClient, clock: Any) -> None:
        self._client = client
        self.events = EventStream(request, clock, self._changed, client.abort)

    def reply(self, reply: dict[str, Any]) -> None:
        """Lines of the kernel's."""
        if reply.get("lost"):
            self.events.event("lost", {"lines": reply["lost"]})
        for line in reply["lines"]:
            self.events.event("line", line, line["offset"] + 1)

    def _changed(self) -> None:
        if self.events.paused:
            self._client.stop_reading()
        else:
            self._client.read_again()


async def _follow(context: Context, call: Call, agent_id: int, since: int, request: Any) -> None:
    asked: KernelCall[Any] = KernelCall(
        Opcode.LOGS, {"id": agent_id, "since": since, "follow": True}, patience=None
    )
    async with kernel_of(context, call.identity, call.query.machine_id) as client:
        await client.logs(agent_id=agent_id, since=since)  # errors are replies, not events
        following = _Following(request, client, context.clock)
        events = following.events
        events.start(b"the agent's output")
        try:
            await client.stream(StreamCall(asked, lambda reply: [reply]), following.reply)
            end = await client.wait(agent_id=agent_id, timeout=1)
            events.event("exit", {key: end.get(key) for key in ("exit_code", "signal", "reason")})
        except CloveError as error:
            events.event("error", problem_of(error).body)
        except NO_SENSE:
            events.event("error", problem_of(unintelligible(call.query.machine_id)).body)
        finally:
            events.stop()
