"""What runs on the host without a sandbox, as the kernel holds it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from clove.sandbox.disposal import Disposal
from clove.sandbox.interface import IFile, IView, Output
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import SandboxSpec
from clove.threads.threads import Threads

__all__ = ["Process"]


class Process(Sandbox):
    """A main program on the host: its commands run beside it, its files are the host's.

    @param host: the view that resolves paths.
    """

    def __init__(
        self,
        reactor: Any,
        threads: Threads,
        spec: SandboxSpec,
        output: Output,
        limits: LaunchLimits,
        host: IView,
        disposal: Disposal | None = None,
    ) -> None:
        super().__init__(reactor, threads, spec, output, limits, disposal=disposal)
        self._host = host

    def resolve(self, path: str) -> Deferred[IFile]:
        """Hold what a path leads to on the host."""
        return self._host.resolve(path)
