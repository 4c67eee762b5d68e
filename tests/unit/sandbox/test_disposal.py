"""Closing what may take long: the threads that do it."""

from __future__ import annotations

import threading

from twisted.internet.task import Clock

from clove.sandbox.disposal import IDLE, Disposal

SECONDS = 30


class Closes:
    """What is closed, and by which threads."""

    def __init__(self) -> None:
        self.disposal = Disposal(Clock())
        self.threads: list[int] = []
        self.over = threading.Semaphore(0)

    def close(self, owner: int) -> None:
        self.disposal.dispose(owner, self._closed)

    def _closed(self) -> None:
        self.threads.append(threading.get_ident())
        self.over.release()

    def wait(self) -> None:
        assert self.over.acquire(timeout=SECONDS)


def until_idle(disposal: Disposal, threads: int) -> None:
    for _ in range(SECONDS * 100):
        if disposal._idle == threads:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{disposal._idle} threads are idle")


def test_one_thread_serves_owners_that_come_one_after_the_other() -> None:
    closes = Closes()
    for owner in range(5):
        closes.close(owner)
        closes.wait()
        until_idle(closes.disposal, 1)
    assert len(set(closes.threads)) == 1
    closes.disposal.stop()


def test_owners_do_not_wait_for_each_other_and_few_threads_are_kept() -> None:
    before = threading.enumerate()  # those of other tests
    closes = Closes()
    held = threading.Event()
    for owner in range(2 * IDLE):
        closes.disposal.dispose(owner, lambda: held.wait(SECONDS))
    closes.close(-1)
    closes.wait()
    held.set()
    until_idle(closes.disposal, IDLE)
    closes.disposal.stop()
    until_idle(closes.disposal, 0)
    for thread in threading.enumerate():
        if thread.name == "disposal" and thread not in before:
            thread.join(SECONDS)
            assert not thread.is_alive()
