"""Programs of the user's that deployments run: ssh, terraform, docker, kubectl. Blocking.

They run with the user's own environment and access, in our process group, so that Ctrl-C reaches them. What is secret
goes by standard input or a file, never as an argument.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from clove.errors import NotFound, TimedOut, Unavailable

__all__ = ["Ran", "last_lines", "run_program"]

MOST: Final = 16 << 20
"""Bytes of output that are kept, of each stream; more is read and dropped."""
_PIECE: Final = 1 << 16
_GRACE: Final = 5.0
"""Seconds that an interrupted program has to end."""


class Ran(NamedTuple):
    """What a program has said."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its standard output."""
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The end of what it wrote to standard error, in one line."""
        return last_lines(self.stderr)


def last_lines(data: bytes, most: int = 300) -> str:
    """The last lines of an output, in one, and printable."""
    lines = [line.strip() for line in data.decode(errors="replace").splitlines() if line.strip()]
    text = " / ".join(lines[-3:])[-most:]
    return "".join(char if char.isprintable() else " " for char in text)


def run_program(
    words: Sequence[str],
    *,
    missing: str,
    stdin: bytes = b"",
    timeout: float | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: str | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Ran:
    """Run one to its end.

    @param missing: what to do where there is no such program.
    @param timeout: seconds; then it is ended.
    @param on_line: is called with each line of its standard output as it comes, in another thread.
    @return: also when its status is not 0.
    @raise CloveError: there is no such program, it could not be started, or took too long.
    """
    process = _start(words, missing, environ, cwd)
    kept = bytearray(), bytearray()
    threads = [
        threading.Thread(target=_read, args=(process.stdout, kept[0], on_line), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, kept[1], None), daemon=True),
        threading.Thread(target=_write, args=(process.stdin, stdin), daemon=True),
    ]
    try:
        for thread in threads:
            thread.start()
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        told = last_lines(bytes(kept[1]))
        raise TimedOut(f"{words[0]} did not end within {timeout:.0f} s", hint=told) from None
    except BaseException:
        _end(process)
        raise
    finally:
        for thread in threads:
            thread.join(_GRACE)
    return Ran(status, bytes(kept[0]), bytes(kept[1]))


def _start(
    words: Sequence[str], missing: str, environ: Mapping[str, str] | None, cwd: str | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if environ is None else dict(environ),
            cwd=cwd,
        )
    except FileNotFoundError:
        raise NotFound(f"there is no program {words[0]}", hint=missing) from None
    except OSError as error:
        raise Unavailable(f"{words[0]} cannot be started: {error.strerror}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _write(stream: Any, data: bytes) -> None:
    with contextlib.suppress(OSError):  # it does not read all of it
        stream.write(data)
    with contextlib.suppress(OSError):
        stream.close()


def _read(stream: Any, kept: bytearray, on_line: Callable[[str], None] | None) -> None:
    begun = b""
    with contextlib.suppress(OSError, ValueError):
        while data := stream.read1(_PIECE):
            kept += data[: MOST - len(kept)]
            if on_line is not None:
                *lines, begun = (begun + data).split(b"\n")
                begun = begun[-_PIECE:]
                for line in lines:
                    on_line(line.decode(errors="replace"))
        if on_line is not None and begun:
            on_line(begun.decode(errors="replace"))
    stream.close()
