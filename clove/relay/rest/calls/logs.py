"""An agent's output: what there is, or as it comes, by server-sent events."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from clove.client.call import Call as KernelCall
from clove.client.call import StreamCall
from clove.errors import CloveError
from clove.framing import Opcode
from clove.relay.kernel_client import KernelClient
from clove.relay.rest.agent_types import Logs
from clove.relay.rest.context import Context
from clove.relay.rest.problems import problem_of
from clove.relay.rest.reaching import kernel_of
from clove.relay.rest.route import Call, Streamed

__all__ = ["logs"]

_ALIVE_SECONDS: Final = 15.0
"""Between two comments that keep a silent stream from being taken for a dead one."""
_HEADERS: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


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
        next=found["next"],
        lost=found["lost"],
    )


@implementer(IPushProducer)
class _Events:
    """Events to one HTTP client, at its pace: while it takes none, none are read from the kernel."""

    def __init__(self, request: Any, client: KernelClient, clock: Any) -> None:
        self._request = request
        self._client = client
        self._paused = False
        self._alive = LoopingCall(self._comment)
        self._alive.clock = clock

    def start(self) -> None:
        """The stream begins."""
        self._request.registerProducer(self, True)
        self._alive.start(_ALIVE_SECONDS, now=False)
        self._request.write(b": the agent's output\n\n")

    def stop(self) -> None:
        """It is over."""
        self._alive.stop()
        if self._request.channel is not None:  # the HTTP client is still there
            self._request.unregisterProducer()

    def event(self, kind: str, data: object, offset: int | None = None) -> None:
        """One event; C{offset} is where a client that reconnects goes on."""
        number = b"" if offset is None else b"id: %d\n" % offset
        encoded = msgspec.json.encode(data)
        self._request.write(b"%sevent: %s\ndata: %s\n\n" % (number, kind.encode(), encoded))

    def reply(self, reply: dict[str, Any]) -> None:
        """Lines of the kernel's."""
        if reply.get("lost"):
            self.event("lost", {"lines": reply["lost"]})
        for line in reply["lines"]:
            self.event("line", line, line["offset"] + 1)

    def pauseProducing(self) -> None:
        """The HTTP client takes no more for now."""
        self._paused = True
        self._client.stop_reading()

    def resumeProducing(self) -> None:
        """It does again."""
        self._paused = False
        self._client.read_again()

    def stopProducing(self) -> None:
        """It is gone."""
        self._client.abort()

    def _comment(self) -> None:
        if not self._paused:
            self._request.write(b":\n\n")


async def _follow(context: Context, call: Call, agent_id: int, since: int, request: Any) -> None:
    asked: KernelCall[Any] = KernelCall(
        Opcode.LOGS, {"id": agent_id, "since": since, "follow": True}, patience=None
    )
    async with kernel_of(context, call.identity, call.query.machine_id) as client:
        await client.logs(agent_id=agent_id, since=since)  # errors are replies, not events
        events = _Events(request, client, context.clock)
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        events.start()
        try:
            await client.stream(StreamCall(asked, lambda reply: [reply]), events.reply)
            end = await client.wait(agent_id=agent_id, timeout=1)
            events.event("exit", {key: end.get(key) for key in ("exit_code", "signal", "reason")})
        except CloveError as error:
            events.event("error", msgspec.Raw(problem_of(error).body))
        finally:
            events.stop()
