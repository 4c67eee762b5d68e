"""The blocking client: standard library only, safe to share between threads::

    with CloveClient() as client:
        print(client.think("Say hello")["content"])

Every method of L{clove.client.methods.table.Methods} is one of this class. It connects by
itself when it is first used, and again when the connection was lost: then the
kernel gives it its old id and belongings back (for a minute). A process that
was forked gets a connection, and an identity, of its own.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, TypeVar, cast

from clove.client.attached import Attached
from clove.client.blocking_connection import BlockingConnection
from clove.client.call import Call, StreamCall
from clove.client.channel import Channel
from clove.client.exchange import Closed, Unsent
from clove.client.limits import ClientLimits
from clove.client.methods import streams, work
from clove.client.methods.table import Methods
from clove.client.socket_path import absolute, socket_paths
from clove.client.status import ConnectionStatus
from clove.client.stream import Stream
from clove.errors import ConnectionLost, InvalidRequest, TimedOut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self, Unpack

    from clove.client.results import AttachReply, EventPush, HelloReply, RunReply

__all__ = ["CloveClient", "Stream"]

T = TypeVar("T")
S = TypeVar("S")


class CloveClient(Methods, ConnectionStatus):
    """A connection to the kernel.

    @param socket_path: default: $CLOVE_SOCKET, else the usual ones (`clove.socket_paths`).
    @param timeout: seconds that the kernel has for an answer, besides what the
        call itself allows it (the time-out of a command, say); None: for ever.
        A call that timed out is cancelled and raises TimedOut; the connection
        stays usable.
    """

    _connection: BlockingConnection

    def __init__(
        self,
        socket_path: str | None = None,
        *,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
    ) -> None:
        self.timeout = timeout
        self.limits = limits or ClientLimits()
        self._connection = BlockingConnection(socket_paths(socket_path), self.limits)

    # the connection

    def connect(self) -> bool:
        """Connect now, instead of when the first call is made.

        @return: True.
        @raise ConnectionLost: no kernel listens there; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        """
        self._connection.live_channel(self._deadline(0.0))
        return True

    def close(self) -> None:
        """Close the connection and give up the identity. Harmless when repeated."""
        self._connection.close()

    disconnect = close

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def hello(self) -> HelloReply:
        """What the kernel said when we connected: kernel_version, features, agent_id.

        Empty if it has version 1 only.
        """
        channel = self._connection.live_channel(self._deadline(0.0))
        return cast("HelloReply", channel.exchange.welcome)

    # asking

    def ask(self, call: Call[T]) -> T:
        """Make a call and wait for its result.

        @raise TimedOut: it took longer than it may; it was cancelled.
        @raise ConnectionLost: the connection was lost meanwhile; whether the
            kernel served it is not known. Idempotent calls are repeated once.
        @raise CloveError: what the kernel answered.
        """
        deadline = self._deadline(call.patience)
        body = call.body(self.limits.max_payload, absolute)
        try:
            return self._round(call, body, deadline)
        except Unsent:
            pass
        except ConnectionLost as error:
            if not call.idempotent or isinstance(error, Closed):
                raise
        return self._round(call, body, deadline)

    def stream(self, call: StreamCall[T, S]) -> Stream[T, S]:
        """Make a call with a reply in pieces."""
        deadline = self._deadline(call.patience)
        body = call.body(self.limits.max_payload, absolute)
        try:
            channel = self._live_channel(deadline)
            return Stream(call, channel, channel.start(call.opcode, body, deadline), deadline)
        except Unsent:
            channel = self._live_channel(deadline)
            return Stream(call, channel, channel.start(call.opcode, body, deadline), deadline)

    def attach(
        self, name: str | int | None = None, *, agent_id: int | None = None
    ) -> Attached[AttachReply]:
        """Attach to an agent by descriptors: its output comes through pipes (docs/output.md).

        @raise PermissionDenied: this is no operator; see `hold_output`.
        @raise AlreadyExists: another is attached.
        """
        return self._attached(streams.attach(name, agent_id=agent_id))

    def run(
        self, name: str | int, command: Sequence[str], **options: Unpack[streams.RunOptions]
    ) -> Attached[RunReply]:
        """Run a command in an agent's sandbox and have its streams as descriptors.

        @param options: cwd, env, stdin (`closed`, `stream`), tty ({rows, columns}).
        @return: its `first["command"]` is the number that `resize_terminal` takes; `finish()`
            gives exit_code and reason.
        @raise PermissionDenied: this is no operator; see `exec`.
        @raise NotFound: no such agent, program or directory.
        """
        return self._attached(streams.run(name, command, **options))

    def _attached(self, call: StreamCall[T, T]) -> Attached[T]:
        channel = self._connection.live_channel(self._deadline(0.0))
        channel.reader.accept_descriptors()
        return Attached(self.stream(call), channel.reader)

    def next_event(self, timeout: float | None = None) -> EventPush | None:
        """The next event of `subscribe(..., push=True)`.

        @param timeout: seconds; None: as long as it takes.
        @return: {type, data, source_agent_id, timestamp, age_ms}, or None if
            none came in time.
        @raise ConnectionLost: the connection that was subscribed on is lost, though others may have been
            made since. It is said once: subscribe again after it.
        """
        deadline = None if timeout is None else monotonic() + timeout
        connection = self._connection
        channel = connection.pushing_channel(self._to_connect(deadline))
        if channel.exchange.version < 2:
            raise InvalidRequest(
                "this kernel has version 1 of the protocol, which pushes no events",
                hint="subscribe without push, and use poll_events",
            )
        try:
            payload = channel.take(channel.pushes, deadline)[0]
        except TimedOut:
            return None
        except ConnectionLost:
            if connection.pushing is channel:
                connection.pushing = None
            raise
        event: EventPush = Call(0).decoded(payload)
        return event

    def exit(self) -> str:
        """Say goodbye and close; name, mailbox and keys of an unspawned client end."""
        try:
            return self.ask(work.exit())
        finally:
            self.close()

    # within

    def _deadline(self, patience: float | None) -> float | None:
        if self.timeout is None or patience is None:
            return None
        return monotonic() + patience + self.timeout

    def _live_channel(self, deadline: float | None) -> Channel:
        """The live channel."""
        return self._connection.live_channel(self._to_connect(deadline))

    def _to_connect(self, deadline: float | None) -> float | None:
        """Until when to connect for a call: that may last for ever, but to connect may not."""
        return self._deadline(0.0) if deadline is None else deadline

    def _round(self, call: Call[T], body: bytes, deadline: float | None) -> T:
        """Send once, wait once."""
        channel = self._live_channel(deadline)
        waiter = channel.start(call.opcode, body, deadline)
        try:
            payload = channel.take(waiter, deadline)[0]
        except BaseException:
            channel.abandon(waiter)
            raise
        result = call.result(payload)
        if call.subscribes:
            self._connection.pushing = channel
        return result
