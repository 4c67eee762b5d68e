"""OUTPUT, INPUT, ATTACH and CLOSE_STREAM: an agent's streams as bytes (`docs/output.md`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as NotInTime

from clove.errors import InvalidRequest, LimitExceeded, PermissionDenied, Unavailable
from clove.kernel import authority
from clove.kernel.calls.agents import find_target
from clove.messages.output import (
    AttachReply,
    CloseStreamReply,
    InputReply,
    OutputReply,
    Piece,
    ResizeReply,
    encode_binary,
)

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.context import Context
    from clove.kernel.logs.logbook import Logbook
    from clove.kernel.relayed_streams import RelayedStreams
    from clove.messages.output import (
        AttachRequest,
        CloseStreamRequest,
        InputRequest,
        OutputRequest,
        ResizeRequest,
    )

__all__ = ["attach", "close_stream", "output", "resize", "write_input"]

STREAMS = {"stdout": 1, "stderr": 2}
NAMES = {number: name for name, number in STREAMS.items()}


async def output(ctx: Context, request: OutputRequest) -> OutputReply | bytes:
    """Bytes of an agent's output."""
    agent = find_target(ctx, request, "OUTPUT", ended=True)
    if request.binary and ctx.push is None:
        raise InvalidRequest("binary replies need protocol version 2", hint="send HELLO first")
    if request.command is not None:
        reply = await _relayed_output(ctx, agent, request, request.command)
        return encode_binary(reply) if request.binary else reply
    book = agent.logbook
    if request.attached and not book.attach_point.take(ctx.principal, request.since):
        raise InvalidRequest(
            "this connection is not attached to the agent's output",
            hint="send ATTACH first, and leave it outstanding",
        )
    if request.wait and request.since >= book.spool.next and not book.closed:
        await _next_output(ctx, book, request.wait)
    reply = _page(agent, request.since, request.max)
    if request.attached and reply.ended:
        book.attach_point.take(ctx.principal, reply.next)
    return encode_binary(reply) if request.binary else reply


async def _relayed_output(
    ctx: Context, agent: Agent, request: OutputRequest, number: int
) -> OutputReply:
    """Bytes of a command or connection: each is given once."""
    streams = held_streams(ctx, agent, number)
    parts, ended = await streams.read(request.max, request.wait)
    return OutputReply(
        agent_id=agent.agent_id,
        data=b"".join(part.data for part in parts),
        pieces=[Piece(stream=NAMES[part.stream], size=len(part.data)) for part in parts],
        ended=ended,
    )


def held_streams(ctx: Context, agent: Agent, number: int) -> RelayedStreams:
    """Those of a command or connection that the caller has begun.

    @raise NotFound: it has none of this number in the agent.
    """
    return ctx.kernel.attached.held(agent.agent_id, number, ctx.principal.agent_id)


def _page(agent: Agent, since: int, most: int) -> OutputReply:
    book = agent.logbook
    parts = book.spool.since(since, most)
    offset = parts[0].offset if parts else max(book.spool.first, min(since, book.spool.next))
    following = parts[-1].offset + len(parts[-1].data) if parts else offset
    pieces: list[Piece] = []
    for part in parts:
        name, size = NAMES[part.stream], len(part.data)
        if pieces and pieces[-1].stream == name:
            size += pieces.pop().size
        pieces.append(Piece(stream=name, size=size))
    return OutputReply(
        agent_id=agent.agent_id,
        offset=offset,
        data=b"".join(part.data for part in parts),
        pieces=pieces,
        next=following,
        lost=max(0, offset - since),
        ended=book.closed and following == book.spool.next,
    )


async def _next_output(ctx: Context, book: Logbook, seconds: float) -> None:
    """Wait until there is more, or the agent has ended, or for so long."""
    book.check_watchers()
    more: Deferred[None] = Deferred()

    def wake() -> None:
        if not more.called:
            more.callback(None)

    unwatch = book.watch(wake)
    more.addTimeout(seconds, ctx.kernel.clock)
    try:
        await more
    except NotInTime:
        return
    finally:
        unwatch()
    await ctx.kernel.loop_time.next_turn(ctx.principal.family)  # not in that of who wrote


async def write_input(ctx: Context, request: InputRequest) -> InputReply:
    """Write to an agent's standard input; answers when its pipe has taken it."""
    agent = find_target(ctx, request, "INPUT")
    if request.command is not None:
        await held_streams(ctx, agent, request.command).write(request.data)
        return InputReply(agent_id=agent.agent_id, accepted=len(request.data))
    if agent.stdin is None:
        raise Unavailable(
            f"the standard input of agent {agent.agent_id} is no stream",
            hint='SPAWN it with `stdin` "stream"',
        )
    if request.data:
        await agent.stdin.write(request.data)
    return InputReply(agent_id=agent.agent_id, accepted=len(request.data))


async def attach(ctx: Context, request: AttachRequest) -> AttachReply:
    """Hold an agent's output for the caller until it is over."""
    agent = find_target(ctx, request, "ATTACH", ended=True)
    stream, book = ctx.stream, agent.logbook
    if request.descriptors:
        _check_descriptors(ctx)
    try:
        attachment = book.attach_point.attach(ctx.principal, pipes=request.descriptors)
    except OSError as error:
        raise LimitExceeded(f"no room for the pipes of an attachment: {error.strerror}") from None
    stdin = agent.stdin
    try:
        if request.descriptors and stdin is not None and stdin.fileno() >= 0:
            attachment.descriptors.append(("stdin", stdin.copy_writer()))
        first = AttachReply(
            agent_id=agent.agent_id,
            offset=attachment.start,
            descriptors=[name for name, _ in attachment.descriptors],
            input=_input_of(agent),
        )
        if stream is not None and request.descriptors:
            await stream.send_descriptors(first, [number for _, number in attachment.descriptors])
            if stdin is not None:
                stdin.hand_over()
            attachment.close_descriptors()
        elif stream is not None:
            stream(first)
        await attachment.over
    except OSError as error:
        raise LimitExceeded(f"the descriptors cannot be sent: {error.strerror}") from None
    finally:
        attachment.close_descriptors()
        book.attach_point.detach(attachment)
    return AttachReply(agent_id=agent.agent_id, offset=attachment.start, ended=True)


def _input_of(agent: Agent) -> str:
    """What its standard input is to one who is attached."""
    if agent.stdin is None or agent.stdin.fileno() < 0:
        return ""
    sandbox = agent.sandbox
    return "terminal" if sandbox is not None and sandbox.outputs.terminal is not None else "stream"


def _check_descriptors(ctx: Context) -> None:
    """@raise PermissionDenied, InvalidRequest: this caller, or this connection, gets none."""
    if not ctx.principal.is_operator:
        raise PermissionDenied(
            "only operators get descriptors", rule="operator", hint="attach without"
        )
    if ctx.stream is None or not ctx.stream.takes_descriptors:
        raise InvalidRequest(
            "this connection cannot carry descriptors",
            hint="attach without, or by version 2 over a Unix socket",
        )


def resize(ctx: Context, request: ResizeRequest) -> ResizeReply:
    """Tell an agent, or a command in it, the size of the terminal that it runs on."""
    agent = find_target(ctx, request, "RESIZE")
    if request.command is not None:
        authority.require(ctx.principal, "RUN", agent.principal)
        terminal = ctx.kernel.attached.find(agent.agent_id, request.command).terminal
    else:
        terminal = None if agent.sandbox is None else agent.sandbox.outputs.terminal
    if terminal is None:
        raise Unavailable(
            f"agent {agent.agent_id}, or its command, runs on no terminal now",
            hint="SPAWN or RUN it with `tty`",
        )
    terminal.resize(request.rows, request.columns)
    return ResizeReply(agent_id=agent.agent_id)


def close_stream(ctx: Context, request: CloseStreamRequest) -> CloseStreamReply:
    """Close the kernel's end of one of an agent's streams."""
    agent = find_target(ctx, request, "CLOSE_STREAM", ended=True)
    if request.command is not None:
        streams = held_streams(ctx, agent, request.command)
        streams.close_stream(STREAMS.get(request.stream, 0))
    elif request.stream == "stdin":
        if agent.stdin is not None:
            agent.stdin.end_input()
    elif agent.sandbox is not None:
        agent.sandbox.outputs.close_stream(STREAMS[request.stream])
    return CloseStreamReply(agent_id=agent.agent_id, closed=True)
