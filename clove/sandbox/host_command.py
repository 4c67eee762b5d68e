"""A command on the host, as one that runs."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import implementer

from clove.sandbox.interface import ExitStatus, IRunning
from clove.sandbox.outputs import Outputs
from clove.sandbox.running import Sandbox

__all__ = ["HostCommand"]


@implementer(IRunning)
class HostCommand:
    """A command on the host; what it leaves running is killed when it ends."""

    def __init__(self, process: Sandbox) -> None:
        self._process = process
        self.pid = process.pid
        self.done: Deferred[ExitStatus] = process.done

    @property
    def outputs(self) -> Outputs:
        """@see: L{IRunning.outputs}."""
        return self._process.outputs

    def kill(self) -> None:
        """SIGKILL to it and everything it started. @see: L{IRunning.kill}."""
        self._process.kill()
