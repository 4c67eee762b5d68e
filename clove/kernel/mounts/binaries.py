"""What the operating system loads besides a program's own file: a loader or an interpreter."""

from __future__ import annotations

import os
import re
import struct
from typing import Final

from clove.regular import open_regular

__all__ = ["needed_by"]

MAX_LINE: Final = 256
"""Bytes of a script's first line that Linux reads (BINPRM_BUF_SIZE)."""
MAX_NAME: Final = 4096
PT_INTERP: Final = 3
MAX_HEADERS: Final = 128
"""Program headers that are looked at; ordinary programs have a dozen."""


def needed_by(path: str) -> tuple[str, ...]:
    """The words with which Linux starts a program's interpreter (execve(2)). Blocking.

    @return: the loader of a dynamic ELF program; of a script, the interpreter and
        perhaps its argument; empty for neither, and where it cannot be read.
    """
    try:
        descriptor = open_regular(path)
    except OSError:
        return ()
    try:
        head = os.pread(descriptor, MAX_LINE, 0)
        if head.startswith(b"#!"):
            line = re.split(rb"[\n\0]", head[2:], maxsplit=1)[0].strip(b" \t")
            return tuple(os.fsdecode(word) for word in line.split(None, 1))
        if head.startswith(b"\x7fELF"):
            return _loader(descriptor, head)
    except (OSError, OverflowError, struct.error):  # no program that Linux would start
        return ()
    finally:
        os.close(descriptor)
    return ()


def _loader(descriptor: int, head: bytes) -> tuple[str, ...]:
    """The PT_INTERP of a program (elf(5))."""
    wide, order = head[4:5] == b"\2", "<" if head[5:6] == b"\1" else ">"
    if wide:
        (start,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}2H", head, 54)
        segment = struct.Struct(f"{order}2I6Q")
    else:
        (start,) = struct.unpack_from(f"{order}I", head, 28)
        size, count = struct.unpack_from(f"{order}2H", head, 42)
        segment = struct.Struct(f"{order}8I")
    for number in range(min(count, MAX_HEADERS)):
        fields = segment.unpack(os.pread(descriptor, segment.size, start + number * size))
        if fields[0] == PT_INTERP:
            offset, length = (fields[2], fields[5]) if wide else (fields[1], fields[4])
            name = os.pread(descriptor, min(length, MAX_NAME), offset)
            return (os.fsdecode(name.partition(b"\0")[0]),)
    return ()
