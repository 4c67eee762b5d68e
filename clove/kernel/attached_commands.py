"""Commands in agents whose streams clients have by descriptors (`docs/terminal.md`, `docs/output.md`)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clove.errors import LimitExceeded, NotFound
from clove.kernel.logs.attachment import STREAMS, PipeAttachment
from clove.kernel.logs.bypass import Bypass
from clove.sandbox.host import kept
from clove.sandbox.typist import Typist

if TYPE_CHECKING:
    from clove.kernel.logs.bypass import StartPump
    from clove.kernel.logs.pump import Pumps
    from clove.kernel.relayed_streams import RelayedStreams
    from clove.sandbox.interface import ExitStatus, IRunning, ITerminal

__all__ = ["AttachedCommand", "AttachedCommands"]


class AttachedCommand:
    """Passes on what a command writes, as fast as the client reads it.

    @param start_pump: see L{Bypass}.
    @param with_stdin: the client writes what the command reads; else that is nothing.
    @raise OSError: there is no room for its pipes.
    @ivar stdin: descriptor that the command reads from; None: nothing.
    @ivar descriptors: what is to be handed over: the name of a stream, and a descriptor; see
        L{close_descriptors}.
    """

    def __init__(
        self, reactor: Any, *, with_stdin: bool, start_pump: StartPump | None = None
    ) -> None:
        self._reactor = reactor
        self._running: IRunning | None = None
        self._typist: Typist | None = None
        self._unread: set[int] | None = set()
        self._output = PipeAttachment(self, reactor, self._regulate)
        self._bypass = Bypass(reactor, self._output, start_pump=start_pump)
        self.stdin: int | None = None
        self.descriptors = self._output.descriptors
        if with_stdin:
            try:
                self.stdin, writer = os.pipe2(os.O_CLOEXEC)
            except OSError:
                self.close()
                raise
            self.descriptors.append(("stdin", writer))

    @property
    def terminal(self) -> ITerminal | None:
        """The one that it runs on, while it does."""
        return None if self._running is None else self._running.outputs.terminal

    def take(self, stream: int, data: bytes) -> None:
        """Output of the command."""
        self._output.write(stream, data)
        self._regulate()

    def started(self, running: IRunning) -> None:
        """It runs."""
        self._running = running
        terminal = running.outputs.terminal
        if terminal is not None and self.stdin is not None:
            self._typist = Typist(self._reactor, os.dup(self.stdin), terminal)
        self._close_stdin()
        running.outputs.widen()
        running.outputs.divert(self._bypass)
        self._regulate()

    def close_descriptors(self) -> None:
        """They are handed over. Idempotent."""
        self._output.close_descriptors()

    async def over(self) -> ExitStatus:
        """Wait until it has ended, and the client has read all that it wrote."""
        assert self._running is not None
        # Not the command's own Deferred: who gives up waiting does not end it by that.
        status = await kept(self._running.done, _nothing)
        self._output.finish()
        await self._output.over
        return status

    def close(self) -> None:
        """The client is gone, or has all of it: what still runs is killed. Idempotent."""
        self._unread = None
        if self._running is not None:
            self._running.outputs.divert(None)
            if not self._running.done.called:
                self._running.kill()
        if self._typist is not None:
            self._typist.close()
        self._close_stdin()
        self.close_descriptors()
        self._output.close()

    def _close_stdin(self) -> None:
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None

    def _regulate(self) -> None:
        """Read each stream only while its pipe takes what is read; one that the client reads no more, not at all."""
        if self._running is not None:
            for stream in STREAMS:
                self._running.outputs.stall(stream, self._output.backlog(stream) > 0)
                if self._unread is not None and self._output.is_unread(stream):
                    self._close(stream, self._unread, self._running)

    def _close(self, stream: int, unread: set[int], running: IRunning) -> None:
        """Tell the command by SIGPIPE, as in a pipeline. Later: the stream may be in the midst of being read."""
        if stream not in unread:
            unread.add(stream)
            self._reactor.callLater(0, running.outputs.close_stream, stream)


def _nothing(status: ExitStatus) -> None:
    """Nobody waits for it."""


class AttachedCommands:
    """All that run, by the agent that they run in, and a number; and connections into agents likewise.

    @param pumps: pass on floods; None: nothing else than the reactor does.
    @param each: commands whose streams one caller has here, at most.
    """

    def __init__(self, reactor: Any, pumps: Pumps | None = None, each: int = 64) -> None:
        self._reactor = reactor
        self._pumps = pumps
        self._numbers = itertools.count(1)
        self._commands: dict[tuple[int, int], AttachedCommand] = {}
        self._relayed: dict[tuple[int, int], RelayedStreams] = {}
        self._each = each
        self._callers: Counter[int] = Counter()

    def add(self, agent_id: int, family: int, *, with_stdin: bool) -> tuple[int, AttachedCommand]:
        """One that is to run; its number. It is known until L{remove}.

        @param family: the agent's.
        @raise LimitExceeded: there is no room for its pipes.
        """
        pumps = self._pumps
        start = None if pumps is None else functools.partial(pumps.start, family)
        try:
            command = AttachedCommand(self._reactor, with_stdin=with_stdin, start_pump=start)
        except OSError as error:
            raise LimitExceeded(f"no room for a command's pipes: {error.strerror}") from None
        number = next(self._numbers)
        self._commands[agent_id, number] = command
        return number, command

    def find(self, agent_id: int, number: int) -> AttachedCommand:
        """One by its number.

        @raise NotFound: there is none.
        """
        try:
            return self._commands[agent_id, number]
        except KeyError:
            raise NotFound(f"agent {agent_id} runs no command {number}") from None

    def remove(self, agent_id: int, number: int) -> None:
        """It is over, or its client is gone."""
        self._commands.pop((agent_id, number)).close()

    # streams of those that get no descriptors

    @contextlib.contextmanager
    def counted(self, caller: int) -> Iterator[None]:
        """Within: one command more whose streams a caller has here.

        @param caller: who it is counted for; of a remote one what stands for its token.
        @raise LimitExceeded: there are too many: each has pipes, also when it has ended and nothing reads them.
        """
        if self._callers[caller] >= self._each:
            raise LimitExceeded(
                f"{self._each} commands run, or have output that was not read, with this token",
                hint="read them to their end; the operator can raise limits.remote.commands",
            )
        self._callers[caller] += 1
        try:
            yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    def next_number(self) -> int:
        """For something that is no command."""
        return next(self._numbers)

    def hold(self, agent_id: int, number: int, streams: RelayedStreams) -> None:
        """A caller asks the kernel for these streams, until L{stop_holding}."""
        self._relayed[agent_id, number] = streams

    def held(self, agent_id: int, number: int, owner: int) -> RelayedStreams:
        """Those of a command or connection of this caller's.

        @raise NotFound: there are none.
        """
        found = self._relayed.get((agent_id, number))
        if found is None or found.owner != owner:
            raise NotFound(f"no command or connection {number} of yours is in agent {agent_id}")
        return found

    def stop_holding(self, agent_id: int, number: int) -> None:
        """They are over, or the caller is gone. Idempotent."""
        found = self._relayed.pop((agent_id, number), None)
        if found is not None:
            found.close()
