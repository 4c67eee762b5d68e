"""EXEC and RUN."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from clove.messages.agents import TargetRequest, TerminalSize
from clove.messages.base import Reply, Request

__all__ = ["DialReply", "DialRequest", "ExecReply", "ExecRequest", "RunReply", "RunRequest"]


class ExecRequest(Request, frozen=True, kw_only=True):
    """Run a command: a string by `/bin/sh -c`, a list of words directly.

    @ivar timeout: seconds; the principal's `max_exec_time_ms` caps it.
    @ivar stream: send output as it comes, too.
    """

    command: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=4096)]
    cwd: str | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 30.0
    async_: bool = msgspec.field(name="async", default=False)
    request_id: str | int | None = None
    stdin: str = ""
    env: dict[str, str] = {}
    stream: bool = False


class ExecReply(Reply, frozen=True, kw_only=True):
    """How a command ended. `success` means exit code 0.

    @ivar exit_code: 128 + n for a command that signal n ended, as shells say.
    @ivar truncated: the output was longer than what is given here.
    @ivar reason: why the kernel ended it (`timeout`, `output`, `oom`, `pids`), else empty.
    """

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    timed_out: bool = False
    truncated: bool = False
    reason: str = ""


class RunRequest(TargetRequest, frozen=True, kw_only=True):
    """Run a command in an agent's sandbox, and have its streams.

    @ivar cwd: absolute, or from the agent's own working directory.
    @ivar tty: it runs on a terminal of that size.
    @ivar descriptors: they come as descriptors; else they are asked for by OUTPUT with `command`.
    """

    command: Annotated[list[str], msgspec.Meta(min_length=1, max_length=4096)]
    cwd: str | None = None
    env: dict[str, str] = {}
    stdin: Literal["closed", "stream"] = "closed"
    tty: TerminalSize | None = None
    descriptors: bool = True


class RunReply(Reply, frozen=True, kw_only=True):
    """First what has begun, last how it ended.

    @ivar command: its number, for RESIZE, OUTPUT, INPUT and CLOSE_STREAM.
    @ivar input: as of L{clove.messages.output.AttachReply}.
    @ivar exit_code: 128 + n for a command that signal n ended, as shells say.
    """

    agent_id: int = 0
    command: int = 0
    descriptors: list[str] = []
    input: str = ""
    exit_code: int = 0
    reason: str = ""


class DialRequest(TargetRequest, frozen=True, kw_only=True):
    """Connect to a TCP port that an agent listens on inside its sandbox."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]


class DialReply(Reply, frozen=True, kw_only=True):
    """First that it is connected, last that both sides have closed.

    @ivar command: the connection's number, for OUTPUT, INPUT and CLOSE_STREAM.
    """

    agent_id: int = 0
    command: int = 0
    port: int = 0
    ended: bool = False
