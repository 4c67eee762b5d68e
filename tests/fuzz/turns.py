"""How long the turns of another process's reactor are, in its own processor time.

The process gets a `sitecustomize` that puts a clock around `epoll_wait`; what it finds is in a file that
both have mapped.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

__all__ = ["LONG", "Turns"]

LONG = 0.05
"""Seconds of processor time that a turn may take at most."""
_FORMAT = struct.Struct("dQQ")
_SITE = """
import mmap, select, struct, sys, threading, time
_real, _format = select.epoll, struct.Struct("dQQ")
_file = open({file!r}, "r+b")
_seen = mmap.mmap(_file.fileno(), _format.size)

class Epoll:
    def __init__(self, *sizes):
        self._epoll = _real(*sizes)
        self.began = None
        for name in ("register", "modify", "unregister", "close", "fileno"):
            setattr(self, name, getattr(self._epoll, name))
        threading.Thread(target=self._look, args=(threading.get_ident(),), daemon=True).start()

    def poll(self, *arguments):
        now = time.thread_time()
        if self.began is not None:
            used = now - self.began
            longest, long, turns = _format.unpack_from(_seen)
            is_long = used > {long!r}
            _format.pack_into(_seen, 0, max(used, longest), long + is_long, turns + 1)
            if is_long:
                with open({file!r} + ".where", "a") as where:
                    where.write("%.0f ms\\n%s\\n" % (used * 1000, self.where))
        self.where = ""
        self.turn = None
        found = self._epoll.poll(*arguments)
        self.turn = object()
        self.began = time.thread_time()
        return found

    where, turn = "", None

    def _look(self, thread):
        seen = None
        while True:
            time.sleep(0.02)
            turn = self.turn
            if turn is not None and turn is seen:
                frame, calls = sys._current_frames()[thread], []
                while frame is not None and len(calls) < 9:  # no source: traceback keeps all of it
                    code = frame.f_code
                    calls.append("%s:%s %s" % (code.co_filename, frame.f_lineno, code.co_name))
                    frame = frame.f_back
                self.where = "\\n".join(calls)
            seen = turn

select.epoll = Epoll
"""


class Turns:
    """Of one process, which is started with L{environ}.

    @param directory: for the files.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._path = directory / "turns"
        self._path.write_bytes(bytes(_FORMAT.size))
        (directory / "sitecustomize.py").write_text(_SITE.format(file=str(self._path), long=LONG))
        (directory / "usercustomize.py").write_text("")
        more = os.environ.get("PYTHONPATH", "")
        self.environ = {"PYTHONPATH": f"{directory}{os.pathsep}{more}".rstrip(os.pathsep)}
        with self._path.open("r+b") as file:
            self._seen = mmap.mmap(file.fileno(), _FORMAT.size)

    def forget(self) -> None:
        """Count anew: what was imported at the start is no stall."""
        self._seen[:] = bytes(_FORMAT.size)
        self._path.with_suffix(".where").unlink(missing_ok=True)

    @property
    def longest(self) -> float:
        """Seconds of processor time of the longest turn."""
        return float(_FORMAT.unpack_from(self._seen)[0])

    @property
    def too_long(self) -> int:
        """How many were longer than L{LONG}."""
        return int(_FORMAT.unpack_from(self._seen)[1])

    @property
    def count(self) -> int:
        """How many there were."""
        return int(_FORMAT.unpack_from(self._seen)[2])

    @property
    def where(self) -> str:
        """What the long ones were doing, as far as that was seen."""
        path = self._path.with_suffix(".where")
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        """Look no more."""
        self._seen.close()
