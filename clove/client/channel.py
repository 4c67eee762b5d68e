"""One connected socket that several threads share. Standard library only.

There is no thread of its own: of the threads that wait for a reply one reads
and hands the others theirs; when it has its own it wakes the next. A thread
that writes more than the socket takes reads meanwhile, so that two full
buffers cannot hold each other up.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from clove.client.descriptors import SocketReader
from clove.client.exchange import Closed, Exchange, Unsent, lost_in_flight, lost_unsent
from clove.client.limits import ClientLimits
from clove.client.waiters import Waiter, Waiters
from clove.errors import CloveError, ConnectionLost, TimedOut
from clove.framing import BadFrame

__all__ = ["Channel"]

_CHUNK = 1 << 16
_SLICE = 0.05
"""Seconds after which a blocked writer checks again whether a thread reads."""
_SEND = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_Waiter = Waiter[threading.Condition]
Why = Callable[[], CloveError | None]


class Channel:
    """A connection to the kernel.

    @param why: says, when its end has come, what that is from; None: the kernel has closed it.
    @ivar lost: why the connection is gone, or None while it lives.
    @ivar reader: takes what comes.
    """

    def __init__(self, sock: socket.socket, limits: ClientLimits, why: Why = lambda: None) -> None:
        self.exchange = Exchange(limits.max_reply)
        self.lost: CloveError | None = None
        self._socket, self._why = sock, why
        self.reader = SocketReader(sock)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._reading = False
        self._uncertain = False
        self._users = 0
        self._waiters: Waiters[threading.Condition] = Waiters(limits)
        self._sleepers: deque[_Waiter] = deque()
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)

    @property
    def pushes(self) -> _Waiter:
        """Receives the frames that answer no request."""
        return self._waiters.pushes

    # requests

    def start(self, opcode: int, body: bytes, deadline: float | None) -> _Waiter:
        """Send a request.

        @param deadline: of the monotonic clock.
        @raise Unsent, Closed: the connection was lost before the request was out.
        @raise TimedOut: the kernel does not read.
        @raise LimitExceeded: too many calls are in flight.
        """
        while self._waiters.orphans:
            self.abandon(self._waiters.orphans.popleft())
        patience = _remaining(deadline)
        if not self._writing.acquire(timeout=-1 if patience is None else patience):
            raise TimedOut("the connection is busy: another thread's request does not go out")
        try:
            with self._lock:
                if self.lost is not None:
                    raise lost_unsent(self.lost)
                self._waiters.require_room()
                number, frame = self.exchange.request(opcode, body)
                waiter = self._waiters.add(number)
                self._users += 1
            try:
                self._send(frame, deadline)
            except BaseException:
                with self._lock:
                    self._waiters.remove(number)
                raise
            finally:
                self._leave()
        finally:
            self._writing.release()
        return waiter

    def greet(self, token: str, deadline: float | None) -> bytes:
        """Say HELLO and give its answer's payload.

        A kernel that refuses us may have said so and closed before we spoke:
        then its reply is still there to be read.
        """
        with self._lock:
            number, frame = self.exchange.hello(token)
            waiter = self._waiters.add(number)
        with contextlib.suppress(OSError):
            self._socket.send(frame, _SEND)
        return self.take(waiter, deadline)[0]

    def take(self, waiter: _Waiter, deadline: float | None) -> tuple[bytes, bool]:
        """The next frame for a waiter: its payload, and whether more follow.

        @raise TimedOut: the deadline is over. The waiter still waits.
        @raise ConnectionLost: no reply will come any more.
        @raise LimitExceeded: the stream was not taken as fast as it came.
        """
        lock = self._lock
        with lock:
            self._users += 1
            try:
                while not waiter.frames:
                    if waiter.error is not None:
                        raise waiter.error
                    if self.lost is not None:
                        raise lost_in_flight(self.lost)
                    if self._reading:
                        self._sleep(waiter, deadline)
                    else:
                        self._read(deadline)
                return waiter.next_frame()
            finally:
                if not self._reading and self._sleepers:
                    self._wake_one()
                self._users -= 1
                if self.lost is not None and not self._users:
                    self._socket.close()

    def abandon(self, waiter: _Waiter) -> None:
        """Wait no longer for a reply; tell the kernel, if that needs no waiting."""
        with self._lock:
            if not self._waiters.remove(waiter.number) or self.lost is not None:
                return
        if not self._writing.acquire(timeout=_SLICE):
            return
        try:
            with self._lock:
                frame = self.exchange.cancel(waiter.number)
            if frame:
                self._send(frame, monotonic())
        except CloveError:
            return
        finally:
            self._writing.release()

    def orphan(self, waiter: _Waiter) -> None:
        """Abandon a waiter with the next request.

        For finalizers, which may run in a thread that holds the locks.
        """
        self._waiters.orphans.append(waiter)

    def close(self, reason: CloveError | None = None) -> None:
        """End the connection; every waiter gets ConnectionLost."""
        with self._lock:
            self._fail(reason or Closed())
            if not self._users:
                self._socket.close()

    def disown(self) -> None:
        """Close a forked child's copy of the socket, which is the parent's."""
        self._socket.close()

    # reading; the lock is held on entry and on return

    def _read(self, deadline: float | None) -> None:
        """Be the reader for one piece of bytes."""
        self._reading = True
        self._lock.release()
        arrived: bytes | None = None
        try:
            timeout = _remaining(deadline)
            ready = self._readable.poll(None if timeout is None else timeout * 1000 + 0.5)
            if ready:
                self._uncertain = True
                arrived = self.reader.receive(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._uncertain = False
        except OSError:
            arrived = b""
        finally:
            self._lock.acquire()
            self._reading = False
            if arrived is not None:
                self._arrived(arrived)
            elif self._uncertain:
                self._fail(ConnectionLost("interrupted in the middle of a reply"))
        if arrived is None and deadline is not None and monotonic() >= deadline:
            raise TimedOut("the kernel did not answer in time")

    def _arrived(self, data: bytes) -> None:
        try:
            if not data:
                self._fail(self._why() or ConnectionLost("the kernel closed the connection"))
                return
            for number, more, payload in self.exchange.feed(data):
                self._waiters.deliver(number, more, payload)
        except BadFrame as error:
            self._fail(ConnectionLost(f"the kernel's reply makes no sense: {error.message}"))
        finally:
            self._uncertain = False

    def _sleep(self, waiter: _Waiter, deadline: float | None) -> None:
        """Wait until a frame came, or until it is this thread's turn to read."""
        if waiter.turn is None:
            waiter.turn = threading.Condition(self._lock)
        self._sleepers.append(waiter)
        try:
            woken = waiter.turn.wait(_remaining(deadline))
        finally:
            if waiter in self._sleepers:
                self._sleepers.remove(waiter)
        if not woken and not waiter.frames and self.lost is None:
            raise TimedOut("the kernel did not answer in time")

    def _wake_one(self) -> None:
        turn = self._sleepers.popleft().turn
        if turn is not None:
            turn.notify()

    def _fail(self, error: CloveError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        self._waiters.clear()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        for waiter in self._sleepers:
            if waiter.turn is not None:
                waiter.turn.notify_all()

    # writing; the lock is not held

    def _send(self, data: bytes, deadline: float | None) -> None:
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[self._socket.send(rest, _SEND) :]
                except BlockingIOError:
                    self._make_room(deadline)
        except OSError as error:
            lost = Unsent(f"the connection to the kernel is lost: {error.strerror or error}")
            self.close(lost)
            raise lost from None
        except BaseException:
            if len(rest) < len(data):
                self.close(ConnectionLost("a request was cut off"))
            raise

    def _make_room(self, deadline: float | None) -> None:
        """Wait until the socket takes more; read meanwhile, if no other thread does."""
        timeout = _remaining(deadline)
        if timeout == 0:
            raise TimedOut("the kernel does not take this request")
        waiting = select.poll()
        waiting.register(self._socket, select.POLLOUT)
        with self._lock:
            if self.lost is not None:
                raise lost_unsent(self.lost)
            if not self._reading:
                self._drain()
        waiting.poll((_SLICE if timeout is None else min(timeout, _SLICE)) * 1000)

    def _drain(self) -> None:
        """Take in what has arrived, without waiting. The lock is held."""
        try:
            self._read(monotonic())
        except TimedOut:
            return
        finally:
            if self._sleepers:
                self._wake_one()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self.lost is not None and not self._users:
                self._socket.close()


def _remaining(deadline: float | None) -> float | None:
    """Seconds until a deadline, at least 0; None if there is none."""
    return None if deadline is None else max(0.0, deadline - monotonic())
