"""Records of names by the host's resolver (resolver(3)), in the threads that look addresses up."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Collection
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from clove.policy import normalise_host

__all__ = ["LookupFailed", "RecordLookups"]

IN: Final = 1
BYTES: Final = 16 << 10
"""Of an answer, at most; what is beyond is left out."""
TRY_AGAIN, NO_RECOVERY = 2, 3


class LookupFailed(Exception):
    """No name server has given an answer."""


class RecordLookups:
    """Asks for records of one kind.

    @param known: names with addresses from the configuration, of which nobody else is asked.
    """

    def __init__(self, reactor: Any, threads: ThreadPool, known: Collection[str] = ()) -> None:
        self._reactor = reactor
        self._threads = threads
        self._known = {normalise_host(name) for name in known}

    def ask(self, name: str, host: str, kind: int) -> Deferred[bytes]:
        """The whole reply; empty where there are none. Fails with L{LookupFailed}.

        @param name: in ASCII, whole: no search list is gone through.
        @param host: the host that it is about.
        """
        found: Deferred[bytes] = Deferred()
        if host in self._known:
            found.callback(b"")
            return found

        def done(well: bool, result: Any) -> None:
            self._reactor.callFromThread(self._tell, found, well, result)

        self._threads.callInThreadWithCallback(done, _query, name, kind)
        return found

    def _tell(self, found: Deferred[bytes], well: bool, result: Any) -> None:
        if not well:
            found.errback(result)
        elif isinstance(result, bytes):
            found.callback(result)
        else:  # there was no thread for it
            found.errback(Failure(LookupFailed("no thread")))


@functools.cache
def _library() -> ctypes.CDLL:
    """What has res_query(3): the C library, or where that is older, a part of it."""
    for name in (None, "libresolv.so.2"):
        library = ctypes.CDLL(name)
        if hasattr(library, "res_query") and hasattr(library, "__h_errno_location"):
            return library
    raise LookupFailed("this C library cannot look records up")


def _query(name: str, kind: int) -> bytes:
    """Ask. Blocking, for as long as the host's resolver waits.

    @raise LookupFailed: no answer.
    """
    library = _library()
    location = library["__h_errno_location"]
    location.restype = ctypes.POINTER(ctypes.c_int)
    buffer = ctypes.create_string_buffer(BYTES)
    size: int = library.res_query(name.encode("ascii"), IN, kind, buffer, BYTES)
    if size < 0:
        if location()[0] in (TRY_AGAIN, NO_RECOVERY):
            raise LookupFailed(name)
        return b""
    return buffer.raw[: min(size, BYTES)]
