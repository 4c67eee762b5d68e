"""Telling the service manager how this service is (sd_notify(3)): ready, reloading, stopping, and still alive.

A sign of life is sent in a turn of the reactor. A reactor that hangs sends none, and after the unit's
WatchdogSec= systemd ends the process and starts another.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Notifier"]

STATUS_SECONDS: Final = 5.0
"""How often it is looked whether the status in words has changed, at least."""
AGAIN_SECONDS: Final = 0.1
"""After which what the service manager had no room for is sent again."""
_MICROSECONDS: Final = 1e6


class Notifier:
    """Sends to the service manager; without one it does nothing.

    Nothing here waits: a message for which there is no room is kept, the newest of its kind, and sent later.

    @ivar watchdog: seconds within which the service manager must hear from this process; 0: it need not.
    @param reactor: for times.
    @param address: of the service manager's datagram socket, `@` first for an abstract one; empty: there is none.
    """

    log = Logger()

    def __init__(self, reactor: Any, address: str = "", watchdog: float = 0.0) -> None:
        self._reactor = reactor
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = watchdog if address else 0.0
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self._unsent: dict[str, str] = {}
        self._again: Any = None
        self._beat: LoopingCall | None = None
        self._status: Callable[[], str] = str
        self._told = ""
        self._failed = False

    @classmethod
    def from_environment(cls, reactor: Any, environ: MutableMapping[str, str]) -> Notifier:
        """The one that the environment names. Its variables are removed: they are meant for no child."""
        address = environ.pop("NOTIFY_SOCKET", "")
        microseconds = environ.pop("WATCHDOG_USEC", "")
        for_process = environ.pop("WATCHDOG_PID", "")
        if address[:1] not in ("/", "@") or len(address) < 2:
            return cls(reactor)
        watched = microseconds.isdecimal() and for_process in ("", str(os.getpid()))
        return cls(reactor, address, int(microseconds) / _MICROSECONDS if watched else 0.0)

    @property
    def is_there(self) -> bool:
        """Is there a service manager that wants to know?"""
        return self._socket is not None

    def ready(self, status: Callable[[], str]) -> None:
        """It serves.

        @param status: says in one line how it is; asked again and again, so it is quick.
        """
        if self._socket is None:
            return
        self._status = status
        self._told = _line(status())
        self._send(READY="1", STATUS=self._told)
        if self.watchdog:
            # systemd ends a process that hangs by SIGABRT: then the log has where it was
            if sys.__stderr__ is not None:
                faulthandler.enable(sys.__stderr__)
            self._send(WATCHDOG="1")
        self._beat = LoopingCall(self._tell)
        self._beat.clock = self._reactor
        every = min(self.watchdog / 2, STATUS_SECONDS) if self.watchdog else STATUS_SECONDS
        self._beat.start(every, now=False).addErrback(
            lambda failure: self.log.failure("no more signs of life are sent", failure=failure)
        )

    def reloading(self) -> None:
        """It reads again what can be read again; L{reloaded} ends that."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(RELOADING="1", MONOTONIC_USEC=str(now))

    def reloaded(self) -> None:
        """It serves as before."""
        self._send(READY="1")

    def stopping(self) -> None:
        """It ends. Signs of life go on, since that may take a while."""
        self._send(STOPPING="1", STATUS="stopping")
        self._status, self._told = lambda: "stopping", "stopping"

    def close(self) -> None:
        """Say nothing more. Idempotent."""
        if self._beat is not None and self._beat.running:
            self._beat.stop()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self) -> None:
        """A sign of life, and the status if it has changed."""
        status = _line(self._status())
        if status != self._told:
            self._told = status
            self._send(STATUS=status)
        if self.watchdog:
            self._send(WATCHDOG="1")

    def _send(self, **fields: str) -> None:
        if self._socket is None:
            return
        for name, value in fields.items():
            self._unsent.pop(name, None)  # the newest is the last
            self._unsent[name] = value
        if self._again is None:
            self._flush()

    def _flush(self) -> None:
        self._again = None
        if self._socket is None or not self._unsent:
            return
        text = "\n".join(f"{name}={value}" for name, value in self._unsent.items())
        try:
            self._socket.sendto(text.encode(), self._address)
        except BlockingIOError:
            self._again = self._reactor.callLater(AGAIN_SECONDS, self._flush)
            return
        except OSError as error:
            if not self._failed:
                self._failed = True
                self.log.error(
                    "the service manager cannot be told: {error}", error=error.strerror or error
                )
        self._unsent.clear()


def _line(text: str) -> str:
    """One line without control characters: each line of a message is a field of its own."""
    return "".join(each if each.isprintable() else " " for each in text)
