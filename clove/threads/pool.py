"""Threads that call functions, and have the reactor told what came of them.

Twisted's pool hands each function over by two locks and a condition in Python, under which the
reactor's thread often has to wait for the other one; here a queue in C does it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

__all__ = ["ThreadPool"]

Work = Callable[[], object]
Tell = Callable[[Any], None]


class ThreadPool:
    """So many threads; functions are called in the order in which they came.

    @param prepare: called first in each thread.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        size: int,
        name: str,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self._prepare = prepare
        self._jobs: SimpleQueue[tuple[Work, Tell] | None] = SimpleQueue()
        self._waiting = [
            threading.Thread(target=self._serve, name=f"{name}-{number}") for number in range(size)
        ]
        self._started: list[threading.Thread] = []

    def start(self) -> None:
        """Start all threads.

        @raise RuntimeError: the operating system does not give so many.
        """
        while self._waiting:
            self._waiting[-1].start()
            self._started.append(self._waiting.pop())

    def stop(self) -> None:
        """Call what waits, and end the threads that were started."""
        for _ in self._started:
            self._jobs.put(None)
        for thread in self._started:
            thread.join()
        self._started.clear()

    def call(self, work: Work, tell: Tell) -> None:
        """Call `work` in a thread, and `tell` in the reactor's with its result or Failure."""
        self._jobs.put((work, tell))

    def _serve(self) -> None:
        self._prepare()
        while self._take(self._jobs.get()):
            """Nothing of a function is held while the thread waits for the next."""

    def _take(self, job: tuple[Work, Tell] | None) -> bool:
        if job is None:
            return False
        work, tell = job
        self._reactor.callFromThread(tell, _outcome(work))
        return True


def _outcome(work: Work) -> object:
    try:
        return work()
    except BaseException:
        return Failure()
