"""An agent's standard streams, as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, cast

from clove.client.call import Call, Reply, StreamCall, optional
from clove.client.methods.target import agent_fields
from clove.framing import Opcode

if TYPE_CHECKING:
    from typing import Unpack

    from clove.client.results import (
        AttachReply,
        CloseStreamReply,
        DialReply,
        InputReply,
        OutputReply,
        ResizeReply,
        RunReply,
    )

__all__ = [
    "close_stream",
    "dial",
    "hold_output",
    "read_output",
    "resize_terminal",
    "write_input",
]


def read_output(
    name: str | int | None = None,
    *,
    agent_id: int | None = None,
    since: int = 0,
    max: int | None = None,
    wait: float = 0.0,
    attached: bool | None = None,
    command: int | None = None,
) -> Call[OutputReply]:
    """The bytes that an agent has written, from an offset on (docs/output.md).

    @param since: offset of the first byte wanted, over both streams; 0 at first, then the last
        reply's `next`.
    @param max: bytes at most (default: 1 MiB, at most 8 MiB).
    @param wait: seconds to wait for the first one.
    @param attached: this connection holds the output (L{hold_output}): it has what is before
        `since`.
    @param command: number of a command or connection of this client's (L{dial}), instead: each byte is
        given once.
    @return: success, agent_id, offset, data (bytes), pieces: a list of {stream, size}, next,
        lost (bytes no longer held), ended.
    @raise NotFound, PermissionDenied:
    """
    fields = {**agent_fields(name, agent_id), "since": since, "binary": True}
    fields |= optional(max=max, wait=wait or None, attached=attached, command=command)
    return Call(Opcode.OUTPUT, fields, patience=wait, idempotent=command is None)


def hold_output(
    name: str | int | None = None, *, agent_id: int | None = None
) -> StreamCall[AttachReply, AttachReply]:
    """Attach to an agent: its output is read no faster than `read_output(attached=True)` takes it.

    It lasts until the agent has ended and all is taken; giving it up ends that. Its first piece
    says where the output begins: agent_id, offset.

    @raise AlreadyExists: another is attached.
    """
    call: Call[AttachReply] = Call(Opcode.ATTACH, agent_fields(name, agent_id), patience=None)
    return StreamCall(call, _one, _none)


def attach(
    name: str | int | None = None, *, agent_id: int | None = None
) -> StreamCall[AttachReply, AttachReply]:
    """What L{clove.client.blocking.CloveClient.attach} asks: its first piece brings descriptors."""
    fields = {**agent_fields(name, agent_id), "descriptors": True}
    call: Call[AttachReply] = Call(Opcode.ATTACH, fields, patience=None)
    return StreamCall(call, _one, _none)


class RunOptions(TypedDict, total=False):
    """How a command runs; see `docs/wire.md`, RUN."""

    cwd: str
    env: Mapping[str, str]
    stdin: str
    tty: Mapping[str, int]


def run(
    name: str | int, command: Sequence[str], **options: Unpack[RunOptions]
) -> StreamCall[RunReply, RunReply]:
    """What L{clove.client.blocking.CloveClient.run} asks: its first piece brings descriptors."""
    fields = {**agent_fields(name, None), "command": list(command), **options}
    call: Call[RunReply] = Call(Opcode.RUN, fields, patience=None)
    return StreamCall(call, _begun, _nothing)


def dial(
    port: int, name: str | int | None = None, *, agent_id: int | None = None
) -> StreamCall[DialReply, DialReply]:
    """Connect to a TCP port that an agent listens on inside its sandbox.

    It lasts as long as the connection; giving it up ends that. Its first piece says the connection's number
    (`command`), for `read_output`, `write_input` and `close_stream`.

    @raise Unavailable: nothing listens there.
    @raise PermissionDenied: the agent is not this caller's, or the kernel allows no such connections.
    """
    fields = {**agent_fields(name, agent_id), "port": port}
    call: Call[DialReply] = Call(Opcode.DIAL, fields, patience=None)
    return StreamCall(call, _dialled, _no_reply)


def close_stream(
    stream: str,
    name: str | int | None = None,
    *,
    agent_id: int | None = None,
    command: int | None = None,
) -> Call[CloseStreamReply]:
    """Close an agent's standard input, or have its writes to an output fail from now on.

    @param stream: stdin, stdout or stderr.
    @param command: of this command or connection, instead.
    @return: success, agent_id, closed.
    """
    fields = {**agent_fields(name, agent_id), "stream": stream, **optional(command=command)}
    return Call(Opcode.CLOSE_STREAM, fields)


def resize_terminal(
    rows: int,
    columns: int,
    name: str | int | None = None,
    *,
    agent_id: int | None = None,
    command: int | None = None,
) -> Call[ResizeReply]:
    """Tell an agent that was spawned with `tty` how large its terminal is now; it gets SIGWINCH.

    @param command: the number of a command in it that was run with `tty`, instead.
    @return: success, agent_id.
    @raise Unavailable: it runs on no terminal.
    """
    fields = {**agent_fields(name, agent_id), "rows": rows, "columns": columns}
    fields |= optional(command=command)
    return Call(Opcode.RESIZE, fields, idempotent=True)


def write_input(
    data: bytes,
    name: str | int | None = None,
    *,
    agent_id: int | None = None,
    command: int | None = None,
) -> Call[InputReply]:
    """Write to the standard input of an agent that was spawned with `stdin="stream"`.

    It answers when the agent's pipe has taken all of it, which may be never.

    @param command: to this command or connection, instead.
    @return: success, agent_id, accepted.
    @raise Unavailable: nothing reads it any more.
    """
    fields = {**agent_fields(name, agent_id), **optional(command=command)}
    return Call(Opcode.INPUT, fields, patience=None, data=data)


def _one(reply: Reply) -> Iterable[AttachReply]:
    return (cast("AttachReply", reply),)


def _none(_: Reply) -> Iterable[AttachReply]:
    return ()


def _begun(reply: Reply) -> Iterable[RunReply]:
    return (cast("RunReply", reply),)


def _nothing(_: Reply) -> Iterable[RunReply]:
    return ()


def _dialled(reply: Reply) -> Iterable[DialReply]:
    return (cast("DialReply", reply),)


def _no_reply(_: Reply) -> Iterable[DialReply]:
    return ()
