"""Work in a thread on an open descriptor, which is closed in every case."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from clove.sandbox.host import kept

__all__ = ["Threads", "run_on_descriptor"]

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Protocol):
    """Where blocking calls run."""

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Call the function in a thread, or fail when too many wait."""


def run_on_descriptor(
    threads: Threads,
    descriptor: int,
    function: Callable[Concatenate[int, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Deferred[T]:
    """Call a function, which closes its descriptor, in a thread.

    Cancelling does not keep the function from running. Where there is no room for the
    call, the descriptor is closed here.
    """
    called = False

    def call() -> T:
        nonlocal called
        called = True
        return function(descriptor, *args, **kwargs)

    def refused(failure: Failure) -> Failure:
        if not called:
            os.close(descriptor)
        return failure

    return kept(threads.run(call).addErrback(refused), lambda _: None)
