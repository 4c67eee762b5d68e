"""What of a request is decided by its opcode alone: looked up once, and not for each request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.kernel.audit.interface import RecordDone
    from clove.kernel.context import Context
    from clove.kernel.syscall import Syscall

__all__ = ["Served"]

_OPTIONS = frozenset(("async_", "stream", "follow"))


class Served:
    """A line of the table of syscalls, as the dispatcher serves it.

    @ivar name: of the opcode.
    @ivar decode, call: those of the line.
    @ivar flag: the first permission flag of which one suffices; "" if none is needed.
    @ivar has_options: a request may be asynchronous, or have partial replies.
    @ivar record: adds the audit entry of one that was done.
    """

    __slots__ = ("call", "decode", "flag", "has_options", "name", "opcode", "record", "syscall")

    def __init__(
        self,
        opcode: int,
        syscall: Syscall,
        recorder: Callable[[str, str, tuple[str, ...]], RecordDone],
    ) -> None:
        self.syscall = syscall
        self.opcode = int(opcode)
        self.name: str = Opcode(opcode).name
        self.decode: Callable[[bytes], Any] = syscall.decode
        self.call: Callable[[Context, Any], Any] = syscall.call
        self.flag = syscall.needs[0] if syscall.needs else ""
        fields = {field.name for field in msgspec.structs.fields(syscall.request)}
        self.has_options = syscall.streams or not fields.isdisjoint(_OPTIONS)
        self.record = recorder(syscall.category, self.name, syscall.audited)
