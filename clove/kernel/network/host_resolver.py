"""The host's resolver, in threads that nothing waits for at the end.

getaddrinfo(3) cannot be stopped: with a silent name server it takes ten seconds and more. The
reactor's own pool is joined when the kernel ends, so SIGTERM would wait for the last name that an
agent asked for. These threads end with the process.
"""

from __future__ import annotations

from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from twisted.internet._resolver import GAIResolver
from twisted.python.threadpool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IHostnameResolver

__all__ = ["ResolverThreads", "host_resolver"]


class ResolverThreads(ThreadPool):
    """A pool of threads that end with the process."""

    threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]

    def callInThreadWithCallback(
        self, onResult: Any, func: Callable[..., object], *args: Any, **kwargs: Any
    ) -> None:
        """Look something up; where Linux starts no thread for that, nothing is found.

        (Twisted's C{GAIResolver} would never end a look-up that cannot begin.)
        """
        try:
            super().callInThreadWithCallback(onResult, func, *args, **kwargs)
        except RuntimeError:
            self.threads[:] = [thread for thread in self.threads if thread.ident is not None]
            onResult(True, [])

    def stop(self) -> None:
        """Take no more work; what is at work is left."""
        self.joined = True
        self.started = False
        self._team.quit()


def host_resolver(reactor: Any, most: int) -> tuple[IHostnameResolver, ResolverThreads]:
    """The host's resolver, and its pool, to be started and stopped.

    @param most: names that are resolved at once.
    """
    pool = ResolverThreads(0, most, "names")
    return GAIResolver(reactor, lambda: pool), pool
