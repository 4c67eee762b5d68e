"""What the calls of `clove.messages.recording` give. Made by tools/results.py: do not edit."""

from clove.client.results.base import Reply

__all__ = ["RecordReply", "ReplayReply"]


class RecordReply(Reply):
    """Of RECORD_START, RECORD_STOP and RECORD_STATUS."""

    recording: bool
    state: str
    entry_count: int
    entries_recorded: int
    last_sequence_id: int


class ReplayReply(Reply):
    """Of REPLAY_START and REPLAY_STATUS."""

    total_entries: int
    state: str
    current_entry: int
    entries_replayed: int
    entries_skipped: int
    progress_percent: float
    last_error: str
