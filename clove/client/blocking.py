"""The blocking client: standard library only, safe to share between threads::

    with CloveClient() as client:
        print(client.think("Say hello")["content"])

Every method of `clove.client.vocabulary` is one of this class. It connects by
itself when it is first used, and again when the connection was lost: then the
kernel gives it its old id and belongings back (for a minute). A process that
was forked gets a connection, and an identity, of its own.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from clove.client import vocabulary as say
from clove.client.call import Call, Reply, StreamCall
from clove.client.channel import Channel, Unsent
from clove.client.dialling import dial
from clove.client.limits import ClientLimits
from clove.client.place import absolute, socket_paths
from clove.client.stream import Stream
from clove.errors import CloveError, ConnectionLost, InvalidRequest, TimedOut

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Concatenate, ParamSpec, Self

    P = ParamSpec("P")

__all__ = ["CloveClient", "Stream"]

T = TypeVar("T")
S = TypeVar("S")


def _method(build: Callable[P, Call[T]]) -> Callable[Concatenate[CloveClient, P], T]:
    """A function of the vocabulary as a method that asks and waits."""

    @functools.wraps(build)
    def method(self: CloveClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.ask(build(*args, **kwargs))

    return method


def _streaming(
    build: Callable[P, StreamCall[T, S]],
) -> Callable[Concatenate[CloveClient, P], Stream[T, S]]:
    """A function of the vocabulary as a method that gives an iterator."""

    @functools.wraps(build)
    def method(self: CloveClient, /, *args: P.args, **kwargs: P.kwargs) -> Stream[T, S]:
        return self.stream(build(*args, **kwargs))

    return method


class CloveClient:
    """A connection to the kernel.

    @param socket_path: default: $CLOVE_SOCKET, else the usual ones (`clove.socket_paths`).
    @param timeout: seconds that the kernel has for an answer, besides what the
        call itself allows it (the time-out of a command, say); None: for ever.
        A call that timed out is cancelled and raises TimedOut; the connection
        stays usable.
    """

    def __init__(
        self,
        socket_path: str | None = None,
        *,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
    ) -> None:
        self._paths = socket_paths(socket_path)
        self.socket_path = self._paths[0]
        self.timeout = timeout
        self.limits = limits or ClientLimits()
        self._connecting = threading.Lock()
        self._channel: Channel | None = None
        self._token = ""
        self._pid = os.getpid()

    # the connection

    def connect(self) -> bool:
        """Connect now, instead of when the first call is made.

        @return: True.
        @raise ConnectionLost: nobody listens there; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        """
        self._connected(self._deadline(0.0))
        return True

    def close(self) -> None:
        """Close the connection and give up the identity. Harmless when repeated."""
        channel, self._channel, self._token = self._channel, None, ""
        if channel is not None:
            if self._pid == os.getpid():
                _goodbye(channel)
            else:
                channel.disown()

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

    @property
    def connected(self) -> bool:
        """Whether there is a live connection."""
        channel = self._channel
        return channel is not None and channel.lost is None and self._pid == os.getpid()

    @property
    def agent_id(self) -> int:
        """Our id, as the kernel gave it; 0 before the first connection."""
        return 0 if self._channel is None else self._channel.exchange.agent_id

    @property
    def protocol_version(self) -> int:
        """The version that was agreed on; 0 before the first connection."""
        return 0 if self._channel is None else self._channel.exchange.version

    def hello(self) -> Reply:
        """What the kernel said when we connected: kernel_version, features, agent_id.

        Empty if it speaks version 1 only.
        """
        return self._connected(self._deadline(0.0)).exchange.welcome

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
            return call.result(self._round(call, body, deadline))
        except Unsent:
            pass
        except ConnectionLost:
            if not call.idempotent:
                raise
        return call.result(self._round(call, body, deadline))

    def stream(self, call: StreamCall[T, S]) -> Stream[T, S]:
        """Make a call whose reply comes in pieces."""
        deadline = self._deadline(call.patience)
        body = call.body(self.limits.max_payload, absolute)
        try:
            channel = self._connected(deadline)
            return Stream(call, channel, channel.start(call.opcode, body, deadline), deadline)
        except Unsent:
            channel = self._connected(deadline)
            return Stream(call, channel, channel.start(call.opcode, body, deadline), deadline)

    def next_event(self, timeout: float | None = None) -> Reply | None:
        """The next event of `subscribe(..., push=True)`.

        @param timeout: seconds; None: as long as it takes.
        @return: {type, data, source_agent_id, timestamp, age_ms}, or None if
            none came in time.
        @raise ConnectionLost: subscribe again after it.
        """
        deadline = None if timeout is None else monotonic() + timeout
        channel = self._connected(deadline)
        if channel.exchange.version < 2:
            raise InvalidRequest(
                "this kernel speaks version 1, which pushes no events",
                hint="subscribe without push, and use poll_events",
            )
        try:
            payload = channel.take(channel.pushes, deadline)[0]
        except TimedOut:
            return None
        event: Reply = Call(0).decoded(payload)
        return event

    # the vocabulary

    noop = _method(say.noop)
    think = _method(say.think)
    think_stream = _streaming(say.think_stream)
    exec = _method(say.exec)
    exec_stream = _streaming(say.exec_stream)
    read_file = _method(say.read_file)
    write_file = _method(say.write_file)
    http = _method(say.http)
    poll_async = _method(say.poll_async)
    llm_report = _method(say.llm_report)

    spawn = _method(say.spawn)
    kill = _method(say.kill)
    pause = _method(say.pause)
    resume = _method(say.resume)
    list_agents = _method(say.list_agents)
    logs = _method(say.logs)
    follow_logs = _streaming(say.follow_logs)
    wait = _method(say.wait)
    register_name = _method(say.register_name)
    get_permissions = _method(say.get_permissions)
    set_permissions = _method(say.set_permissions)
    why = _method(say.why)

    send_message = _method(say.send_message)
    recv_messages = _method(say.recv_messages)
    ack_messages = _method(say.ack_messages)
    broadcast = _method(say.broadcast)
    store = _method(say.store)
    fetch = _method(say.fetch)
    delete_key = _method(say.delete_key)
    list_keys = _method(say.list_keys)
    subscribe = _method(say.subscribe)
    unsubscribe = _method(say.unsubscribe)
    poll_events = _method(say.poll_events)
    emit_event = _method(say.emit_event)

    get_system_metrics = _method(say.get_system_metrics)
    get_agent_metrics = _method(say.get_agent_metrics)
    get_all_agent_metrics = _method(say.get_all_agent_metrics)
    get_cgroup_metrics = _method(say.get_cgroup_metrics)
    get_audit_log = _method(say.get_audit_log)
    set_audit_config = _method(say.set_audit_config)

    def exit(self) -> str:
        """Say goodbye and close; name, mailbox and keys of an unspawned client end."""
        try:
            return self.ask(say.exit())
        finally:
            self.close()

    # within

    def _deadline(self, patience: float | None) -> float | None:
        if self.timeout is None or patience is None:
            return None
        return monotonic() + patience + self.timeout

    def _round(self, call: Call[Any], body: bytes, deadline: float | None) -> bytes:
        """Send once, wait once."""
        channel = self._connected(deadline)
        waiter = channel.start(call.opcode, body, deadline)
        try:
            return channel.take(waiter, deadline)[0]
        except BaseException:
            channel.abandon(waiter)
            raise

    def _connected(self, deadline: float | None) -> Channel:
        """The live channel; connects if there is none."""
        if self._pid != os.getpid():
            self._forked()
        channel = self._channel
        if channel is not None and channel.lost is None:
            return channel
        if not self._connecting.acquire(timeout=_patience(deadline)):
            raise TimedOut("another thread is still connecting")
        try:
            channel = self._channel
            if channel is None or channel.lost is not None:
                channel = self._channel = self._reach(deadline, again=channel is not None)
            return channel
        finally:
            self._connecting.release()

    def _reach(self, deadline: float | None, *, again: bool) -> Channel:
        """Connect; after a loss with several attempts, since the kernel may be restarting."""
        failure: ConnectionLost | None = None
        for pause in self.limits.pauses() if again else [0.0]:
            if deadline is not None and monotonic() + pause > deadline:
                break
            sleep(pause)
            try:
                return self._open(deadline)
            except ConnectionLost as error:
                failure = error
        raise failure or TimedOut("the kernel could not be reached in time")

    def _open(self, deadline: float | None) -> Channel:
        """Connect once and say HELLO; with the token first, if there is one."""
        for token in dict.fromkeys((self._token, "")):
            channel = self._dial(deadline)
            try:
                answer = channel.greet(token, deadline)
                if channel.exchange.welcomed(answer, resuming=bool(token)):
                    self._token = str(channel.exchange.welcome.get("resume", ""))
                    return channel
            except BaseException:
                channel.close()
                raise
            channel.close()
        raise ConnectionLost("the kernel does not greet")

    def _dial(self, deadline: float | None) -> Channel:
        connection, self.socket_path = dial(self._paths, deadline)
        return Channel(connection, self.limits)

    def _forked(self) -> None:
        """We are a child process now: leave the parent's connection alone."""
        channel, self._channel = self._channel, None
        self._connecting = threading.Lock()
        self._token = ""
        self._pid = os.getpid()
        if channel is not None:
            channel.disown()


def _patience(deadline: float | None) -> float:
    """Seconds until a deadline, as Lock.acquire takes them."""
    return -1 if deadline is None else max(0.0, deadline - monotonic())


def _goodbye(channel: Channel) -> None:
    """Say EXIT, so that the kernel does not keep our belongings for a minute."""
    try:
        if channel.lost is None:
            channel.start(say.exit().opcode, b"", monotonic())
    except CloveError:
        pass
    finally:
        channel.close()
