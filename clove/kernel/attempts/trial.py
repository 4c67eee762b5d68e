"""One attempt while it is made: what it says, what its gateway says, when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from clove.kernel.attempts.outcome import SUCCEEDED, Outcome, read_outcome

if TYPE_CHECKING:
    from clove.kernel.principal import Principal
    from clove.sandbox.interface import ExitStatus

__all__ = ["Trial"]

REMARKS: Final = 4
"""Of a gateway; what else it says is dropped."""


class Trial:
    """Gathers what becomes of an attempt.

    @ivar over: fires once when it is known.
    @ivar gone: fires when nothing of the sandbox is left.
    """

    def __init__(self, tried: str, most: int) -> None:
        self.over: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._tried = tried
        self._most = most
        self._said = bytearray()
        self._errors = bytearray()
        self._remarks: list[str] = []
        self._reached = ""
        self._flooded = False
        self._ending = "it has not ended"

    # its sandbox

    def take(self, stream: int, data: bytes) -> None:
        """Some of its stdout or stderr."""
        kept = self._said if stream == 1 else self._errors
        kept += data[: self._most - len(kept)]
        if len(data) and len(kept) >= self._most:
            self._flooded = True
            self._finish()

    def ended(self, status: ExitStatus) -> ExitStatus:
        """Its sandbox is gone."""
        how = f"signal {status.signal}" if status.code is None else f"exit code {status.code}"
        self._ending = how
        self._finish()
        self.gone.callback(None)
        return status

    # its gateway

    def log(self, line: bytes) -> None:
        """What its gateway says for people."""
        if len(self._remarks) < REMARKS:
            text = line.decode("ascii", "replace").strip()
            self._remarks.append(text.removeprefix("clove: network: "))

    def refused(self, principal: Principal, host: str, port: int, rule: str, reason: str) -> None:
        """A name or a connection was refused; L{log} has it in words. Audited nowhere."""

    def carried(self, principal: Principal, host: str, port: int, sent: int, received: int) -> None:
        """A connection ended. Audited nowhere: it was not the agent's."""

    def opened(self, host: str, port: int) -> None:
        """The host was reached: that is all that was to be known."""
        self._reached = f"{host}:{port} was reached"
        self._finish()

    # the end

    def _finish(self) -> None:
        if not self.over.called:
            self.over.callback(None)

    def outcomes(self, count: int) -> list[Outcome]:
        """What happened to each of several attempts of one program."""
        lines = bytes(self._said).splitlines()
        lines += [b""] * (count - len(lines))
        return [read_outcome(self._tried, line, self._ending) for line in lines[:count]]

    def outcome(self) -> Outcome:
        """What happened."""
        if self._reached:
            return Outcome(tried=self._tried, happened=SUCCEEDED, detail=self._reached)
        if self._flooded:
            return Outcome(tried=self._tried, detail="the attempt said too much")
        last = self._errors.decode("ascii", "replace").strip().rpartition("\n")[2][-200:]
        ending = f"{self._ending}: {last}" if last else self._ending
        found = read_outcome(self._tried, bytes(self._said), ending)
        return found.with_detail(*self._remarks)
