"""What the calls of `clove.messages.files` give. Made by tools/results.py: do not edit."""

from clove.client.results.base import Reply

__all__ = ["ReadReply", "WriteReply"]


class ReadReply(Reply):
    """What was read; `size` is the whole file's size in bytes."""

    content: str
    size: int


class WriteReply(Reply):
    """How many bytes were written."""

    bytes_written: int
