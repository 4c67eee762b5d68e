"""A kernel in the process of a program, which looks at its parts: for drivers that tests start."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from clove.kernel.config import load
from clove.kernel.service import make_service

__all__ = ["InnerKernel", "run_kernel"]


class InnerKernel:
    """One that runs.

    @ivar directory: of its own; all users may read what is in it.
    """

    def __init__(self, directory: str, parts: Any) -> None:
        self.directory = directory
        self.parts = parts

    @property
    def socket(self) -> str:
        return os.path.join(self.directory, "s")

    def in_thread(self, function: Callable[..., Any], *args: Any, **named: Any) -> Deferred[Any]:
        """Do what blocks, as a client of it."""
        return deferToThread(function, *args, **named)

    def file(self, name: str, text: str) -> str:
        path = Path(self.directory, name)
        path.write_text(text)
        path.chmod(0o644)
        return str(path)


def run_kernel(work: Callable[[InnerKernel], Coroutine[Any, Any, None]], config: str = "") -> None:
    """Start a kernel, do some work with it, stop it.

    @raise Exception: as the work raises it.
    """
    from twisted.internet import reactor as global_reactor

    reactor: Any = global_reactor
    failures: list[Failure] = []
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        os.chmod(directory, 0o755)
        settings = Path(directory, "config.toml")
        settings.write_text(config)
        service = make_service(
            load(str(settings)), socket=f"{directory}/s", state_dir=f"{directory}/d"
        )
        service.privilegedStartService()
        service.startService()

        def begin() -> None:
            kernel = InnerKernel(directory, service._parts)
            working = Deferred.fromCoroutine(work(kernel))
            working.addErrback(failures.append)
            working.addCallback(lambda _: service.stopService())
            working.addErrback(failures.append)
            working.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run()
    for failure in failures:
        failure.raiseException()
