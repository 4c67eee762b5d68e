"""One dry run while it is made: what it prints, what its gateway reports, when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from clove.kernel.dry_run.outcome import SUCCEEDED, Outcome, read_outcome

if TYPE_CHECKING:
    from clove.kernel.principal import Principal
    from clove.sandbox.interface import ExitStatus

__all__ = ["Run"]

REMARKS: Final = 4
"""Lines of a gateway that are kept; the others are dropped."""


class Run:
    """Collects what a dry run comes to.

    @ivar over: fires once when its outcome is known.
    @ivar gone: fires when nothing of the sandbox is left.
    """

    def __init__(self, tried: str, most: int) -> None:
        """
        @param tried: what is tried, in words.
        @param most: bytes that it may print.
        """
        self.over: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._tried = tried
        self._most = most
        self._output = bytearray()
        self._errors = bytearray()
        self._remarks: list[str] = []
        self._reached = ""
        self._flooded = False
        self._ending = "it has not ended"

    # its sandbox

    def append_output(self, stream: int, data: bytes) -> None:
        """Some of its stdout (1) or stderr (2)."""
        kept = self._output if stream == 1 else self._errors
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

    def append_remark(self, line: bytes) -> None:
        """A line of its gateway's log."""
        if len(self._remarks) < REMARKS:
            text = line.decode("ascii", "replace").strip()
            self._remarks.append(text.removeprefix("clove: network: "))

    def refused(self, principal: Principal, host: str, port: int, rule: str, reason: str) -> None:
        """A name or a connection was refused; L{append_remark} has it in words. Not audited."""

    def carried(self, principal: Principal, host: str, port: int, sent: int, received: int) -> None:
        """A connection ended. Not audited, since it was not the agent's."""

    def opened(self, host: str, port: int) -> None:
        """The host was reached, which is all that was asked."""
        self._reached = f"{host}:{port} was reached"
        self._finish()

    # the end

    def _finish(self) -> None:
        if not self.over.called:
            self.over.callback(None)

    def outcomes(self, count: int) -> list[Outcome]:
        """What happened in each of several dry runs of one program."""
        lines = bytes(self._output).splitlines()
        lines += [b""] * (count - len(lines))
        return [read_outcome(self._tried, line, self._ending) for line in lines[:count]]

    def outcome(self) -> Outcome:
        """What happened."""
        if self._reached:
            return Outcome(tried=self._tried, happened=SUCCEEDED, detail=self._reached)
        if self._flooded:
            return Outcome(tried=self._tried, detail="the dry run printed too much")
        last = self._errors.decode("ascii", "replace").strip().rpartition("\n")[2][-200:]
        ending = f"{self._ending}: {last}" if last else self._ending
        found = read_outcome(self._tried, bytes(self._output), ending)
        return found.with_detail(*self._remarks)
