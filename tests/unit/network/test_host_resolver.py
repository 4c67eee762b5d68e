"""The host's resolver is asked in threads that nobody waits for."""

from __future__ import annotations

import threading

from clove.kernel.network.host_resolver import ResolverThreads


def test_its_end_waits_for_nothing_that_is_at_work() -> None:
    begun, over, done = threading.Event(), threading.Event(), threading.Event()
    pool = ResolverThreads(0, 2, "names")
    pool.start()

    def silent() -> None:
        begun.set()
        over.wait(30)
        done.set()

    pool.callInThread(silent)
    assert begun.wait(30)
    assert all(thread.daemon for thread in pool.threads)
    pool.stop()
    assert not done.is_set()
    over.set()
    assert done.wait(30)
