"""RUN: a command in an agent's sandbox, whose streams its sender has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, LimitExceeded, Unavailable
from clove.kernel.calls.agents import find_target
from clove.kernel.calls.execute import check_env, check_words
from clove.kernel.files.lookup import whole_path
from clove.kernel.logs.attachment import STREAMS
from clove.messages.execute import RunReply
from clove.policy import check_command, check_flag
from clove.sandbox.interface import Command

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.attached_commands import AttachedCommand
    from clove.kernel.context import Context
    from clove.messages.execute import RunRequest
    from clove.sandbox.interface import ExitStatus

__all__ = ["run"]


async def run(ctx: Context, request: RunRequest) -> RunReply:
    """Run a command in an agent's sandbox until it has ended and all it wrote is read."""
    agent = find_target(ctx, request, "RUN")
    _check_way(ctx, request)
    commands = ctx.kernel.commands
    check_words(tuple(request.command), commands.limits)
    check_env(request.env, commands.limits)
    if request.descriptors:
        return await _run(ctx, request, agent)
    with ctx.kernel.attached.counted(ctx.principal.bearer_id):
        return await _run(ctx, request, agent)


async def _run(ctx: Context, request: RunRequest, agent: Agent) -> RunReply:
    typed = request.stdin == "stream" or request.tty is not None
    number, attached = ctx.kernel.attached.add(
        agent.agent_id, agent.principal.family, with_stdin=typed
    )
    try:
        await _start(ctx, agent, request, attached)
        hand_over = _pass_on if request.descriptors else _hold
        status = await hand_over(ctx, agent.agent_id, number, attached)
    finally:
        ctx.kernel.attached.stop_holding(agent.agent_id, number)
        ctx.kernel.attached.remove(agent.agent_id, number)
    code = status.code if status.code is not None else 128 + (status.signal or 0)
    return RunReply(agent_id=agent.agent_id, command=number, exit_code=code, reason=status.reason)


def _check_way(ctx: Context, request: RunRequest) -> None:
    """May, and can, this caller have the streams so?

    @raise InvalidRequest: its connection cannot carry them.
    @raise PermissionDenied: it may not run this; operators may run everything.
    """
    stream = ctx.stream
    if stream is None or not (stream.takes_descriptors or not request.descriptors):
        raise InvalidRequest(
            "this connection cannot carry descriptors, by which RUN gives a command's streams",
            hint="ask by version 2: over the kernel's Unix socket, or with `descriptors` false",
        )
    if ctx.principal.is_remote:
        permissions = ctx.principal.permissions
        check_flag(permissions, "can_exec").require("RUN")
        check_command(permissions, request.command).require(f"RUN {request.command[0]!r}")


async def _start(
    ctx: Context, agent: Agent, request: RunRequest, attached: AttachedCommand
) -> None:
    sandbox = agent.sandbox
    if sandbox is None:
        raise Unavailable(f"agent {agent.agent_id} does not run now", hint="wait for its restart")
    cwd = agent.principal.cwd
    if request.cwd:
        cwd = await whole_path(sandbox, request.cwd, cwd)
    size = request.tty
    command = Command(
        argv=tuple(request.command),
        cwd=cwd,
        env=request.env,
        stdin_from=attached.stdin,
        terminal=None if size is None else (size.rows, size.columns),
    )
    principal = ctx.principal
    running = await ctx.kernel.commands.start(
        principal.agent_id,
        sandbox,
        command,
        attached.take,
        family=principal.family,
        bearer=principal.bearer_id if principal.is_remote else None,
    )
    attached.started(running)


async def _hold(ctx: Context, agent_id: int, number: int, attached: AttachedCommand) -> ExitStatus:
    """Keep its streams for OUTPUT, INPUT and CLOSE_STREAM, and wait until it has ended and all is read."""
    from clove.kernel.relayed_streams import RelayedStreams

    assert ctx.stream is not None
    ends = dict(attached.descriptors)
    attached.descriptors.clear()
    sources = {stream: ends[name] for stream, name in STREAMS.items()}
    reactor = ctx.kernel.clock
    streams = RelayedStreams(reactor, ctx.principal.agent_id, sources, ends.get("stdin"))
    ctx.kernel.attached.hold(agent_id, number, streams)
    known = "" if "stdin" not in ends else "stream" if attached.terminal is None else "terminal"
    ctx.stream(RunReply(agent_id=agent_id, command=number, input=known))
    status = await attached.over()
    await streams.wait_drained()
    return status


async def _pass_on(
    ctx: Context, agent_id: int, number: int, attached: AttachedCommand
) -> ExitStatus:
    """Hand over its streams, and wait for its end."""
    assert ctx.stream is not None
    names = [name for name, _ in attached.descriptors]
    first = RunReply(agent_id=agent_id, command=number, descriptors=names)
    try:
        await ctx.stream.send_descriptors(first, [end for _, end in attached.descriptors])
    except OSError as error:
        raise LimitExceeded(f"the descriptors cannot be sent: {error.strerror}") from None
    attached.close_descriptors()
    return await attached.over()
