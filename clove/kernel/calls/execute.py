"""EXEC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, LimitExceeded
from clove.kernel.files import Ended, ExecLimits
from clove.kernel.files.lookup import whole_path
from clove.messages.base import encode
from clove.messages.execute import ExecReply, ExecRequest
from clove.policy import check_command
from clove.sandbox.interface import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    from clove.kernel.context import Context

__all__ = ["check_env", "check_words", "execute"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SMALL = 1 << 16
"""Bytes of output that are encoded at once instead of in a thread."""


async def execute(ctx: Context, request: ExecRequest) -> ExecReply | bytes:
    """Run a command in the caller's view and wait for its end."""
    view = await ctx.principal.require_view()
    permissions = ctx.principal.permissions
    commands = ctx.kernel.commands
    argv = _argv(request, commands.limits)
    check_env(request.env, commands.limits)
    check_command(permissions, request.command).require(f"EXEC {_brief(request.command)!r}")
    cwd = ctx.principal.cwd
    if request.cwd:
        cwd = await whole_path(view, request.cwd, cwd)
    timeout = request.timeout
    if permissions.max_exec_time_ms:
        timeout = min(timeout, permissions.max_exec_time_ms / 1000)
    command = Command(argv=argv, cwd=cwd, env=request.env, stdin=request.stdin.encode())
    principal = ctx.principal
    ended = await commands.run(
        principal.agent_id, view, command, timeout, _streamed(ctx), family=principal.family
    )
    if ended.size <= _SMALL:
        return _reply(ended)
    threads = ctx.kernel.threads.of(ctx.principal.path, bounded=False)
    return await threads.run(lambda: encode(_reply(ended)))


def _reply(ended: Ended) -> ExecReply:
    timed_out = ended.reason == "timeout"
    return ExecReply(
        success=ended.exit_code == 0 and not ended.reason,
        stdout=ended.stdout.text(),
        stderr=ended.stderr.text(),
        exit_code=ended.exit_code,
        timed_out=timed_out,
        truncated=ended.truncated,
        reason=ended.reason,
    )


def _streamed(ctx: Context) -> Callable[[int, str], None] | None:
    """What sends a partial reply for each piece of output; the last reply has it all again."""
    stream = ctx.stream
    if stream is None:
        return None

    def send(number: int, text: str) -> None:
        stream(ExecReply(stdout=text) if number == 1 else ExecReply(stderr=text))

    return send


def _argv(request: ExecRequest, limits: ExecLimits) -> tuple[str, ...]:
    """The words to run.

    @raise InvalidRequest: no command, or a NUL in it.
    @raise LimitExceeded: a word is too long.
    """
    asked = request.command
    if not asked:
        raise InvalidRequest("command must not be empty")
    words = ("/bin/sh", "-c", asked) if isinstance(asked, str) else tuple(asked)
    check_words(words, limits)
    return words


def check_words(words: tuple[str, ...], limits: ExecLimits) -> None:
    """Refuse what is no command line.

    @raise InvalidRequest: no program, or a NUL in a word.
    @raise LimitExceeded: a word is too long.
    """
    if not words[0]:
        raise InvalidRequest("command must not be empty")
    if any("\0" in word for word in words):
        raise InvalidRequest("command must not hold a NUL")
    if max(len(word.encode()) for word in words) > limits.command_bytes:
        raise LimitExceeded(
            f"a word of a command has at most {limits.command_bytes} bytes",
            hint="give the data in stdin, or write a file first",
        )


def check_env(env: dict[str, str], limits: ExecLimits) -> None:
    """Names must be names, and all of it bounded.

    @raise InvalidRequest, LimitExceeded: they are not.
    """
    if len(env) > limits.env_count:
        raise LimitExceeded(f"env has at most {limits.env_count} variables, this one {len(env)}")
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise InvalidRequest(f"not a name of a variable: {name[:80]!r}")
        if "\0" in value:
            raise InvalidRequest(f"the variable {name[:80]} holds a NUL")
    if sum(len(name) + len(value.encode()) + 2 for name, value in env.items()) > limits.env_bytes:
        raise LimitExceeded(f"env has at most {limits.env_bytes} bytes")


def _brief(command: str | list[str]) -> str:
    text = command if isinstance(command, str) else " ".join(command)
    return text if len(text) <= 200 else text[:199] + "…"
