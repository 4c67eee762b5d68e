"""An agent in the foreground: its output is ours, Ctrl-C ends it, and its exit code is ours.

Nothing of the output is lost, and the agent writes no faster than we can (`docs/output.md`).
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clove.cli.ends import report_end
from clove.cli.sinks import Sink, copy, copy_input, read_piece, sinks
from clove.cli.standard_input import PIECE
from clove.errors import CloveError, InvalidRequest, PermissionDenied

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.attached import Attached
    from clove.client.blocking import CloveClient
    from clove.client.results import AttachReply

__all__ = ["Foreground"]

_LONG = 3600.0
"""Seconds to wait for output before asking again."""


_SENT = 1.0
"""Seconds for a request to be sent, on a busy machine too."""


class Foreground:
    """One agent, spawned with `attach`.

    @param restarts: it would be started again after its end.
    @param typed: it reads our standard input.
    @param into: where its streams go, by their names; by default ours.
    @param again: a command that shows it when we have left it; "" where that goes without saying.
    @param leaves: it was there before us, and goes on when we are interrupted or our output is not read.
    """

    def __init__(
        self,
        console: Console,
        client: CloveClient,
        agent_id: int | str,
        *,
        restarts: bool,
        typed: bool = False,
        leaves: bool = False,
        again: str = "",
        into: dict[str, Sink] | None = None,
    ) -> None:
        self._console = console
        self._client = client
        self._agent_id = agent_id
        self._restarts = restarts
        self._typed = typed
        self._leaves = leaves
        self._again = again
        self._sinks = into or sinks(console)
        self._readerless: set[str] = set()
        self._lost = False
        self._copying: list[threading.Event] = []

    def attend(self) -> int:
        """Pass on its output until it has ended for good; gives the exit code for us."""
        signal.signal(signal.SIGTERM, _interrupt)
        interrupted = False
        begin: Callable[[], None] | None = self._begin
        while True:
            try:
                if begin is not None:
                    begin()
                    begin = None
                end = self._client.wait(self._agent_id)
                self._join()
                code = report_end(self._console, end, readerless=bool(self._readerless))
                return code or int(self._lost)
            except KeyboardInterrupt:
                if interrupted or self._leaves:
                    return 128 + signal.SIGINT
                interrupted = True
                if not self._end():
                    return 128 + signal.SIGINT

    # output

    def _begin(self) -> None:
        """Attach: by descriptors, or where this caller gets none, by asking for the bytes."""
        try:
            attached = self._client.attach(self._agent_id)
        except (PermissionDenied, InvalidRequest):
            held = self._client.hold_output(self._agent_id)
            next(held)
            self._start(self._pull)
            if self._typed:
                self._start_input(self._push)
            self._held: object = held
            return
        self._held = attached
        for name in ("stdout", "stderr"):
            self._start(self._copy, attached, name)
        if "stdin" in attached.descriptors:
            self._start_input(copy_input, attached, self._unreadable)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        ended = threading.Event()

        def run() -> None:
            try:
                target(*args)
            finally:
                ended.set()

        self._copying.append(ended)
        threading.Thread(target=run, daemon=True).start()

    def _start_input(self, target: Callable[..., None], *args: Any) -> None:
        """As L{_start}, but it is not waited for: our input may go on when the agent has ended."""
        threading.Thread(target=target, args=args, daemon=True).start()

    def _join(self) -> None:
        """Wait until all is copied; also where a wait before was interrupted (bpo-45274, as in L{_end})."""
        for ended in self._copying:
            ended.wait()

    def _copy(self, attached: Attached[AttachReply], name: str) -> None:
        """Copy one stream from its pipe."""
        try:
            copy(attached.descriptors[name], self._sinks[name])
        except OSError as error:
            self._lose_reader(name, error)
        attached.close_stream(name)

    def _push(self) -> None:
        """Send our standard input, as fast as the agent reads it, and then its end."""
        with contextlib.suppress(CloveError):
            while data := self._read_input():
                self._client.write_input(data, self._agent_id)
            self._client.close_stream("stdin", self._agent_id)

    def _read_input(self) -> bytes:
        try:
            return read_piece(sys.stdin.fileno(), PIECE)
        except OSError as error:
            self._unreadable(error)
            return b""

    def _unreadable(self, error: OSError) -> None:
        """What the agent reads is not all that there is."""
        self._lost = True
        self._console.remark(f"standard input cannot be read: {error.strerror}")

    def _pull(self) -> None:
        """Ask for the bytes of both streams."""
        since = 0
        while True:
            try:
                page = self._client.read_output(
                    self._agent_id, since=since, wait=_LONG, attached=True
                )
            except CloveError:  # the kernel is gone; waiting for the agent says so
                return
            at = 0
            for piece in page["pieces"]:
                self._write(piece["stream"], page["data"][at : at + piece["size"]])
                at += piece["size"]
            since = page["next"]
            if page["ended"]:
                break
        for name in self._sinks:
            self._write(name, None)

    def _write(self, name: str, data: bytes | None) -> None:
        """Write bytes of a stream; None is its end."""
        if name in self._readerless:
            return
        sink: Sink = self._sinks[name]
        try:
            if data is None:
                sink.finish()
            else:
                sink.write(data)
        except OSError as error:
            self._lose_reader(name, error)

    def _lose_reader(self, name: str, error: OSError) -> None:
        """Nothing takes a stream here any more: so it is for the agent, as in a pipeline."""
        self._readerless.add(name)
        if not isinstance(error, BrokenPipeError):
            self._lost = True
            self._console.remark(f"the agent's {name} cannot be written: {error.strerror}")
        if self._leaves:
            return
        try:
            if self._restarts:
                self._client.kill(self._agent_id)
            else:
                self._client.close_stream(name, self._agent_id)
        except CloveError:  # it has ended, or the kernel has
            return

    # ends

    def _end(self) -> bool:
        """Kill the agent; what it still writes is shown after this.

        @return: False: interrupted again, before it had ended; the kernel goes on ending it.
        """
        # A thread, as no interrupt keeps it from asking; an event, as a join that was interrupted takes the
        # thread for ended (bpo-45274).
        killed = threading.Event()
        threading.Thread(target=self._kill, args=[killed], daemon=True).start()
        try:
            self._console.remark("interrupted: ending the agent")
            killed.wait()
        except KeyboardInterrupt:
            killed.wait(_SENT)
            shows = f"; {self._again} shows the rest" if self._again else ""
            self._console.remark(f"detached: the kernel goes on ending the agent{shows}")
            return False
        return True

    def _kill(self, killed: threading.Event) -> None:
        try:
            self._client.kill(self._agent_id)
        except CloveError as error:
            self._console.error(error)
        finally:
            killed.set()


def _interrupt(_number: int, _frame: object) -> None:
    """A SIGTERM to us ends the agent as Ctrl-C does."""
    raise KeyboardInterrupt
