"""RECORD and REPLAY, which are not built: their errors have the usual fields all the same."""

from __future__ import annotations

from typing import Final

from clove.framing import Opcode
from clove.messages.base import Reply

__all__ = ["RecordReply", "ReplayReply", "reply_of"]


class RecordReply(Reply, frozen=True, kw_only=True):
    """Of RECORD_START, RECORD_STOP and RECORD_STATUS."""

    recording: bool = False
    state: str = "IDLE"
    entry_count: int = 0
    entries_recorded: int = 0
    last_sequence_id: int = 0


class ReplayReply(Reply, frozen=True, kw_only=True):
    """Of REPLAY_START and REPLAY_STATUS."""

    total_entries: int = 0
    state: str = "IDLE"
    current_entry: int = 0
    entries_replayed: int = 0
    entries_skipped: int = 0
    progress_percent: float = 0.0
    last_error: str = ""


_REPLIES: Final[dict[int, type[Reply]]] = {
    Opcode.RECORD_START: RecordReply,
    Opcode.RECORD_STOP: RecordReply,
    Opcode.RECORD_STATUS: RecordReply,
    Opcode.REPLAY_START: ReplayReply,
    Opcode.REPLAY_STATUS: ReplayReply,
}


def reply_of(opcode: int) -> type[Reply] | None:
    """The reply of an opcode that the table of syscalls does not have; None: it has no fields of its own."""
    return _REPLIES.get(opcode)
