"""An agent's program: its script and the interpreter that runs it, or a command."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec

from clove.errors import Unavailable
from clove.kernel.mounts.interpreter import Interpreter, own_interpreter
from clove.policy import Permissions
from clove.regular import read_regular
from clove.sandbox.inside import syscalls
from clove.sandbox.inside.mounts import NO_LINKS

__all__ = ["Find", "Program", "ProgramRecord", "RecordedProgram", "digest_of"]

AGAIN: Final = "spawn it anew from a script that is there"


class Program(Protocol):
    """A script that was found, with its interpreter; or what a command has of the host.

    @ivar path: the script's real path, as its parent sees it; "" of a command.
    @ivar source: the same on the host; "" if it is not there.
    @ivar interpreter: what runs it; of a command, the Python that it has.
    @ivar found_now: the interpreter's files must still be those that were found.
    @ivar reader: permissions of the one that named the interpreter; None: an operator, or it was not named.
    """

    path: str
    source: str
    interpreter: Interpreter
    found_now: bool
    reader: Permissions | None

    def check(self, path: str) -> None:
        """@raise PermissionDenied: the one that named the interpreter may not read this part any more."""

    def load(self) -> bytes | None:
        """The script's bytes; None: it is a command. Blocking.

        @raise CloveError: it cannot be read.
        """

    def close(self) -> None:
        """Release what is held open."""


Find = Callable[[], Coroutine[Any, Any, Program]]
"""Finds an agent's program."""


class ProgramRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program as it is written down.

    @ivar path, source, reader: see L{Program}.
    @ivar digest: SHA-256 of the script, in hexadecimal digits; "" of a command.
    @ivar interpreter: None: the kernel's own.
    """

    path: str
    source: str
    digest: str
    interpreter: Interpreter | None = None
    reader: Permissions | None = None

    @classmethod
    def of_program(cls, program: Program, script: bytes | None) -> ProgramRecord:
        """The record of a program.

        @param script: its bytes; None: it is a command.
        """
        named = program.interpreter
        return cls(
            path=program.path,
            source=program.source,
            digest="" if script is None else digest_of(script),
            interpreter=None if named == own_interpreter() else named,
            reader=program.reader,
        )


def digest_of(script: bytes) -> str:
    """See L{ProgramRecord}."""
    return hashlib.sha256(script).hexdigest()


class RecordedProgram:
    """A program that a record names. @see: L{Program}.

    @param check: see L{Program.check}.
    @param limit: bytes that the script may have.
    """

    found_now = False

    def __init__(self, record: ProgramRecord, check: Callable[[str], None], limit: int) -> None:
        self.path = record.path
        self.source = record.source
        self.interpreter = record.interpreter or own_interpreter()
        self.reader = record.reader
        self.check = check
        self._digest = record.digest
        self._limit = limit

    def load(self) -> bytes | None:
        """The script's bytes, which must be those that were recorded; None: a command. Blocking.

        @raise Unavailable: there is no such script any more.
        """
        if not self.path:
            return None
        if not self.source:
            raise Unavailable(f"the script {self.path} was not on the host", hint=AGAIN)
        try:
            held = syscalls.openat2(syscalls.AT_FDCWD, self.source, os.O_PATH, NO_LINKS)
            try:
                script = read_regular(f"/proc/self/fd/{held}", self._limit)
            finally:
                os.close(held)
        except OSError as error:
            text = f"the script {self.source} cannot be read: {error.strerror}"
            raise Unavailable(text, hint=AGAIN) from None
        if digest_of(script) != self._digest:
            raise Unavailable(f"the script {self.source} is not what it was", hint=AGAIN)
        return script

    def close(self) -> None:
        """Nothing is held."""
