"""The Deferred client, for programs that run on Twisted::

    async def main(reactor):
        async with DeferredClient(reactor) as client:
            print((await client.think("Say hello"))["content"])

Every method of `clove.client.vocabulary` is one of this class and gives a
Deferred of what the blocking client returns. Cancelling it cancels the call in
the kernel too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from clove.client import vocabulary as say
from clove.client.call import Call, Reply, StreamCall
from clove.client.limits import ClientLimits
from clove.client.link import Link, Partial
from clove.client.peer import check_server
from clove.client.place import absolute, nobody_there, socket_paths
from clove.errors import ConnectionLost, LimitExceeded, PermissionDenied, TimedOut

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Concatenate, ParamSpec, Self

    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

    P = ParamSpec("P")

__all__ = ["DeferredClient"]

T = TypeVar("T")
S = TypeVar("S")


def _method(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate[DeferredClient, P], Deferred[T]]:
    """A function of the vocabulary as a method that gives a Deferred."""

    @functools.wraps(build)
    def method(self: DeferredClient, /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return self.ask(build(*args, **kwargs))

    return method


def _streaming(
    build: Callable[P, StreamCall[T, S]],
) -> Callable[Concatenate[DeferredClient, Callable[[S], object], P], Deferred[T]]:
    """A function of the vocabulary as a method whose first argument takes the pieces."""

    @functools.wraps(build)
    def method(
        self: DeferredClient,
        each: Callable[[S], object],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Deferred[T]:
        return self.stream(build(*args, **kwargs), each)

    return method


class DeferredClient:
    """A connection to the kernel; it connects, and reconnects, by itself.

    @param path: default: $CLOVE_SOCKET, else the usual ones (`clove.socket_paths`).
    @param endpoint: instead of the Unix socket at `path`; who answers there is for its maker to know.
    @param timeout: seconds that the kernel has for an answer, besides what the
        call itself allows it; None: for ever.
    @param on_event: takes each event of `subscribe(..., push=True)`.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        path: str | None = None,
        *,
        endpoint: IStreamClientEndpoint | None = None,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
        on_event: Callable[[Reply], object] | None = None,
    ) -> None:
        self._paths = socket_paths(path)
        self.socket_path = self._paths[0]
        self.timeout = timeout
        self.limits = limits or ClientLimits()
        self.on_event = on_event
        self._reactor = reactor
        self._endpoint = endpoint
        self._link: Link | None = None
        self._token = ""
        self._opening: Deferred[None] | None = None
        self._hoping: list[Deferred[Link]] = []

    # the connection

    def connect(self) -> Deferred[Self]:
        """Connect now, instead of when the first call is made.

        @raise ConnectionLost: nobody listens there; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        """
        return self._within(self._connected().addCallback(lambda _: self), 0.0)

    def close(self) -> Deferred[None]:
        """Close the connection and give up the identity; fires when it is closed."""
        if self._opening is not None:
            self._opening.cancel()
        link, self._link, self._token = self._link, None, ""
        if link is None or not link.alive:
            return succeed(None)
        link.request(say.exit().opcode, b"").addErrback(lambda _: None)
        link.alive = False
        cast("Any", link.transport).loseConnection()
        closed: Deferred[None] = Deferred()
        link.gone.addCallback(lambda _: closed.callback(None))
        return closed

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether there is a live connection."""
        return self._link is not None and self._link.alive

    @property
    def agent_id(self) -> int:
        """Our id, as the kernel gave it; 0 before the first connection."""
        return 0 if self._link is None else self._link.exchange.agent_id

    @property
    def protocol_version(self) -> int:
        """The version that was agreed on; 0 before the first connection."""
        return 0 if self._link is None else self._link.exchange.version

    def hello(self) -> Deferred[Reply]:
        """What the kernel said when we connected; empty if it speaks version 1 only."""
        return self._within(self._connected().addCallback(lambda link: link.exchange.welcome), 0.0)

    # asking

    def ask(self, call: Call[T]) -> Deferred[T]:
        """Make a call.

        @return: Deferred of its result, or of the typed error (see
            L{clove.client.blocking.CloveClient.ask}).
        """
        return self._within(Deferred.fromCoroutine(self._ask(call, None)), call.patience)

    def stream(self, call: StreamCall[T, S], each: Callable[[S], object]) -> Deferred[T]:
        """Make a call whose reply comes in pieces; `each` takes them as they come."""
        parts = 0

        def partial(payload: bytes) -> None:
            nonlocal parts
            parts += 1
            for piece in call.pieces(call.decoded(payload)):
                each(piece)

        async def run() -> T:
            payload = await self._ask_bytes(call, partial)
            reply = call.decoded(payload)
            if not parts:
                for piece in call.rest(reply):
                    each(piece)
            return call.pick(reply)

        return self._within(Deferred.fromCoroutine(run()), call.patience)

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

    def exit(self) -> Deferred[str]:
        """Say goodbye and close; name, mailbox and keys of an unspawned client end."""

        async def leave() -> str:
            try:
                return await self.ask(say.exit())
            finally:
                await self.close()

        return Deferred.fromCoroutine(leave())

    # within

    def _within(self, deferred: Deferred[T], patience: float | None) -> Deferred[T]:
        """Put the client's time-out on a Deferred."""
        if self.timeout is None or patience is None:
            return deferred
        seconds = self.timeout + patience

        def late(result: object, _: float) -> Any:
            if isinstance(result, Failure) and isinstance(result.value, CancelledError):
                raise TimedOut(f"the kernel did not answer within {seconds:g} s")
            return result

        return deferred.addTimeout(seconds, self._reactor, onTimeoutCancel=late)

    async def _ask(self, call: Call[T], partial: Partial | None) -> T:
        return call.result(await self._ask_bytes(call, partial))

    async def _ask_bytes(self, call: Call[Any], partial: Partial | None) -> bytes:
        body = call.body(self.limits.max_payload, absolute)
        link = await self._connected()
        try:
            return await link.request(call.opcode, body, partial)
        except ConnectionLost:
            if not call.idempotent:
                raise
        link = await self._connected()
        return await link.request(call.opcode, body, partial)

    def _connected(self) -> Deferred[Link]:
        """The live link; connects if there is none. Several may wait for one attempt."""
        if self._link is not None and self._link.alive:
            return succeed(self._link)
        if len(self._hoping) >= self.limits.outstanding:
            raise LimitExceeded(f"{self.limits.outstanding} calls wait for a connection already")
        hope: Deferred[Link] = Deferred(self._hoping.remove)
        self._hoping.append(hope)
        if self._opening is None:
            again = self._link is not None
            opening = Deferred.fromCoroutine(self._open(again))
            if self._hoping:  # it is not over yet
                self._opening = opening
        return hope

    async def _open(self, again: bool) -> None:
        """Connect, and tell everybody who waits for it how that went."""
        failure: Exception | None = None
        try:
            self._link = await self._reach(again)
        except CancelledError:
            failure = ConnectionLost("the client was closed")
        except Exception as error:
            failure = error
        self._opening = None
        hoping, self._hoping = self._hoping, []
        for hope in hoping:
            if failure is not None or self._link is None:
                hope.errback(failure or ConnectionLost("the kernel cannot be reached"))
            else:
                hope.callback(self._link)

    async def _reach(self, again: bool) -> Link:
        """Connect; after a loss with several attempts, since the kernel may be restarting."""
        failure = ConnectionLost("the kernel cannot be reached")
        for pause in self.limits.pauses() if again else [0.0]:
            if pause:
                await deferLater(self._reactor, pause)
            try:
                return await self._greeted()
            except ConnectionLost as error:
                failure = error
        raise failure

    async def _greeted(self) -> Link:
        """Connect once and say HELLO; with the token first, if there is one."""
        for token in dict.fromkeys((self._token, "")):
            link = await self._dial()
            try:
                answer = await self._within(link.greet(token), 0.0)
                if link.exchange.welcomed(answer, resuming=bool(token)):
                    self._token = str(link.exchange.welcome.get("resume", ""))
                    return link
            except BaseException as error:
                link.drop(ConnectionLost(f"not greeted: {error}"))
                raise
            link.drop(ConnectionLost("the resume token was refused"))
        raise ConnectionLost("the kernel does not greet")

    async def _dial(self) -> Link:
        """Connect to the first socket where somebody is, and look who it is."""
        factory = Factory.forProtocol(functools.partial(Link, self.limits, self._event))
        factory.noisy = False
        errors = []
        if self._endpoint is not None:
            try:
                return cast("Link", await self._endpoint.connect(factory))
            except ConnectError as error:
                raise ConnectionLost(f"the kernel cannot be reached: {error}") from None
        for path in self._paths:
            endpoint = cast("Any", UNIXClientEndpoint)(self._reactor, path)
            try:
                link = cast("Link", await endpoint.connect(factory))
            except ConnectError as error:
                errors.append(OSError(error.osError or 0, str(error)))
                continue
            try:
                check_server(cast("Any", link.transport).socket, path)
            except PermissionDenied as error:
                link.drop(error)
                raise
            self.socket_path = path
            return link
        raise nobody_there(self._paths, errors)

    def _event(self, payload: bytes) -> None:
        if self.on_event is not None:
            self.on_event(cast("Reply", Call(0).decoded(payload)))
