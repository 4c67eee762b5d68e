"""A command's output, kept up to a limit. Pure."""

from __future__ import annotations

import codecs

__all__ = ["BoundedOutput"]


class BoundedOutput:
    """The first bytes of one output stream, and the same as text piece by piece.

    It holds `most` bytes at most; what comes after is counted and dropped.

    @ivar total: bytes seen.
    """

    __slots__ = ("_decoder", "_kept", "_most", "total")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.total = 0

    @property
    def size(self) -> int:
        """Bytes kept."""
        return len(self._kept)

    @property
    def truncated(self) -> bool:
        """True if something was dropped."""
        return self.total > len(self._kept)

    def feed(self, data: bytes) -> str:
        """Take bytes; give the text that the kept ones add, whole characters only.

        Bytes that are not UTF-8 become U+FFFD.
        """
        self.total += len(data)
        fits = data[: self._most - len(self._kept)]
        if not fits:
            return ""
        self._kept += fits
        return self._decoder.decode(fits)

    def rest(self) -> str:
        """What an incomplete last character leaves: U+FFFD or nothing."""
        return self._decoder.decode(b"", final=True)

    def text(self) -> str:
        """All that was kept, as text."""
        return self._kept.decode("utf-8", "replace")
