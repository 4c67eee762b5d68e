"""What the calls of `clove.messages.execute` give. Made by tools/results.py: do not edit."""

from typing import NotRequired

from clove.client.results.base import Reply

__all__ = ["DialReply", "ExecReply", "RunReply"]


class ExecReply(Reply):
    """How a command ended. `success` means exit code 0.

    @ivar exit_code: 128 + n for a command that signal n ended, as shells say.
    @ivar truncated: the output was longer than what is given here.
    @ivar reason: why the kernel ended it (`timeout`, `output`, `oom`, `pids`), else empty.
    """

    stdout: str
    stderr: str
    exit_code: int
    timed_out: bool
    truncated: bool
    reason: str
    request_id: NotRequired[str | int]
    status: NotRequired[str]


class RunReply(Reply):
    """First what has begun, last how it ended.

    @ivar command: its number, for RESIZE, OUTPUT, INPUT and CLOSE_STREAM.
    @ivar input: as of L{clove.messages.output.AttachReply}.
    @ivar exit_code: 128 + n for a command that signal n ended, as shells say.
    """

    agent_id: int
    command: int
    descriptors: list[str]
    input: str
    exit_code: int
    reason: str


class DialReply(Reply):
    """First that it is connected, last that both sides have closed.

    @ivar command: the connection's number, for OUTPUT, INPUT and CLOSE_STREAM.
    """

    agent_id: int
    command: int
    port: int
    ended: bool
