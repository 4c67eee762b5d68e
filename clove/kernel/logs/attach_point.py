"""Where one attaches to an agent's output: one at a time, from the first byte that is kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from clove.errors import AlreadyExists
from clove.kernel.logs.attachment import LEFT_BEHIND, STREAMS, Attachment, PipeAttachment
from clove.kernel.logs.bypass import Bypass

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from clove.kernel.logs.bypass import Keeper, StartPump
    from clove.kernel.logs.limits import LogLimits
    from clove.kernel.logs.log_file import LogWriter
    from clove.kernel.logs.spool import Spool
    from clove.kernel.logs.throttle import Throttle

__all__ = ["AttachPoint"]


class AttachPoint:
    """One agent's.

    @param spool: has the bytes that are yet to be taken.
    @param writer: leaves out what the disk is too slow for, while one is attached.
    @param throttle: has each stream read as fast as it is taken.
    @param reactor: for pipes and time.
    @param keeper: takes what goes to one who reads pipes, for all others.
    @param start_pump: see L{Bypass}.
    """

    def __init__(
        self,
        spool: Spool,
        writer: LogWriter,
        throttle: Throttle,
        limits: LogLimits,
        reactor: Any,
        keeper: Keeper,
        start_pump: StartPump | None = None,
    ) -> None:
        self._spool = spool
        self._writer = writer
        self._throttle = throttle
        self._limits = limits
        self._reactor = reactor
        self._attachment: Attachment | None = None
        self._keeper = keeper
        self._start_pump = start_pump
        self._bypass: Bypass | None = None
        self._reserved: IDelayedCall | None = None
        self._finished = False

    def write(self, stream: int, data: bytes) -> None:
        """There is output; the spool has it already."""
        if self._attachment is None:
            return
        most = self._limits.held + LEFT_BEHIND
        if self._attachment.backlog(stream) <= most:
            self._attachment.write(stream, data)
        untaken = self._spool.untaken
        if untaken > most or (untaken and self._spool.memory > 2 * most):
            self._spool.keep_from(self._spool.next - untaken // 2)
        self._regulate()

    def catch_up(self) -> None:
        """Have all kept that has gone to the one who reads pipes."""
        if self._bypass is not None:
            self._bypass.catch_up()

    def waiting(self, stream: int) -> int:
        """Bytes that wait for the one who is attached."""
        elsewhere = 0 if self._attachment is None else self._attachment.backlog(stream)
        return self._spool.untaken + elsewhere

    def finish(self) -> None:
        """No more output will come."""
        self._finished = True
        if self._attachment is not None:
            self._attachment.finish()
            self._check_taken()

    def reserve(self) -> None:
        """Keep all for one who will attach soon."""
        self._attachment = Attachment(None)
        self._spool.keep_from(0)
        self._writer.skip(True)
        self._reserved = self._reactor.callLater(self._limits.attach_within, self._unreserve)

    def _unreserve(self) -> None:
        self._reserved = None
        if self._attachment is not None:
            self.detach(self._attachment)

    def attach(self, holder: object, *, pipes: bool) -> Attachment:
        """Attach one, from the first byte that is kept for it on, else from the next.

        @param pipes: it reads pipes; else it takes the bytes by L{take}.
        @raise AlreadyExists: another is attached.
        @raise OSError: there is no room for the pipes.
        """
        if self._attachment is not None and self._attachment.holder is not None:
            raise AlreadyExists(
                "another is attached to this agent's output already",
                hint="follow it with OUTPUT or LOGS (clove logs -f)",
            )
        spool = self._spool
        start = spool.next if spool.kept_from is None else spool.kept_from
        made = self._pipe_attachment(holder) if pipes else Attachment(holder)
        made.start = start
        self._cancel_reserve()
        self._attachment = made
        self._writer.skip(True)
        if pipes:
            self._throttle.widen()
            for part in spool.since(start, sys.maxsize):
                made.write(part.stream, part.data)
        spool.keep_from(None if pipes else start)
        self._regulate()
        if self._finished:
            self.finish()
        return made

    def _pipe_attachment(self, holder: object) -> PipeAttachment:
        made = PipeAttachment(holder, self._reactor, self._regulate)
        most = self._limits.unwritten
        self._bypass = Bypass(self._reactor, made, self._keeper, most, self._start_pump)
        self._throttle.divert(self._bypass)
        return made

    def take(self, holder: object, offset: int) -> bool:
        """The one who is attached has all before an offset; False if it is another."""
        if self._attachment is None or self._attachment.holder is not holder:
            return False
        if self._spool.kept_from is not None:
            self._spool.keep_from(offset)
            self._regulate()
            self._check_taken()
        return True

    def detach(self, attachment: Attachment) -> None:
        """Keep and pass on nothing more for it. Idempotent."""
        if self._attachment is not attachment:
            return
        self._cancel_reserve()
        self._attachment = None
        self._end_bypass()
        attachment.close()
        self._spool.keep_from(None)
        self._writer.skip(False)
        self._regulate()

    def _end_bypass(self) -> None:
        if self._bypass is not None:
            self._throttle.divert(None)
            self._bypass.catch_up()
            self._bypass.close()
            self._bypass = None

    def _cancel_reserve(self) -> None:
        if self._reserved is not None:
            self._reserved.cancel()
            self._reserved = None

    def _check_taken(self) -> None:
        kept = self._spool.kept_from
        if self._finished and kept is not None and not self._spool.untaken and self._attachment:
            self._attachment.complete()

    def _regulate(self) -> None:
        """Read each stream as fast as the one who is attached takes it."""
        full = self._spool.is_full
        for stream in STREAMS:
            attachment = self._attachment
            behind = attachment is not None and attachment.backlog(stream) > 0
            self._throttle.stall(stream, full or behind)
