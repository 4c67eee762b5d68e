"""Streams of agents and commands for a client that gets no descriptors: pipes of this process, kept filled and
emptied by threads that ask the kernel (docs/output.md). Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar, cast

from clove.client.attached import Attached
from clove.errors import CloveError

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient
    from clove.client.stream import Stream

__all__ = ["RelayedStreams", "write_all"]

R = TypeVar("R")

CHUNK = 64 << 10
WAIT = 30.0
"""Seconds to wait for output before asking again."""


class RelayedStreams(Attached[R]):
    """The same as L{Attached}, through a relay."""

    def __init__(self, client: CloveClient, stream: Stream[R, R]) -> None:
        self._stream = stream
        self._client = client
        self.first: R = next(stream)
        first = cast("dict[str, Any]", self.first)
        self._target = {"agent_id": first["agent_id"]}
        self.offset = int(first.get("offset", 0))
        self._command: int | None = first.get("command") or None
        self._input: str = first.get("input", "")
        self.descriptors = {}
        self._ends: dict[str, int] = {}
        try:
            self._open_pipes()
        except OSError:
            self.close()
            self._close_ends()
            raise
        self._start(self._pump_output)
        if "stdin" in self.descriptors:
            self._start(self._pump_input)

    def _open_pipes(self) -> None:
        for name in ("stdout", "stderr"):
            self.descriptors[name], self._ends[name] = os.pipe2(os.O_CLOEXEC)
        if self._input:
            self._ends["stdin"], self.descriptors["stdin"] = os.pipe2(os.O_CLOEXEC)

    def _close_ends(self) -> None:
        for end in self._ends.values():
            os.close(end)
        self._ends.clear()

    @staticmethod
    def _start(target: Any) -> None:
        threading.Thread(target=target, daemon=True).start()

    def _pump_output(self) -> None:
        """Ask for bytes until there are no more, and write them into the pipes, as fast as those are read."""
        since = self.offset
        ends = {name: self._ends.pop(name) for name in ("stdout", "stderr")}
        unread: set[str] = set()
        try:
            while True:
                page = self._client.read_output(**self._asked(since), wait=WAIT)
                at = 0
                for piece in page["pieces"]:
                    name = piece["stream"]
                    data = page["data"][at : at + piece["size"]]
                    at += piece["size"]
                    if name not in unread and not write_all(ends, name, data):
                        unread.add(name)
                        self._close_there(name)
                since = page["next"]
                if page["ended"]:
                    return
        except (
            CloveError
        ):  # it is detached, or the kernel is gone; the reply to the request says so
            return
        finally:
            for end in ends.values():
                os.close(end)

    def _close_there(self, name: str) -> None:
        """Nothing reads a stream here any more: so it is for a command, as in a pipeline. An agent may go on."""
        if self._command is not None:
            with contextlib.suppress(CloveError):  # it has just ended
                self._client.close_stream(name, **self._target, command=self._command)

    def _asked(self, since: int) -> dict[str, Any]:
        if self._command is not None:
            return {**self._target, "command": self._command}
        return {**self._target, "since": since, "attached": True}

    def _pump_input(self) -> None:
        """Send what is written into the pipe, and its end."""
        end = self._ends.pop("stdin")
        given: dict[str, Any] = dict(self._target)
        if self._command is not None:
            given["command"] = self._command
        try:
            with contextlib.suppress(CloveError):
                while data := os.read(end, CHUNK):
                    self._client.write_input(data, **given)
                if self._input == "stream":  # a terminal has no end
                    self._client.close_stream("stdin", **given)
        finally:
            os.close(end)


def write_all(ends: dict[str, int], name: str, data: bytes) -> bool:
    """Write into a pipe; False: nothing reads it any more."""
    left = memoryview(data)
    try:
        while left and ends[name] >= 0:
            left = left[os.write(ends[name], left) :]
    except OSError:
        return False
    return True
