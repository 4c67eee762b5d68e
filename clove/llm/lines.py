"""Bytes in any pieces to lines, with a limit. Pure."""

from __future__ import annotations

__all__ = ["LineBuffer"]


class LineBuffer:
    """Splits at newlines and never holds more than `limit` bytes of a line.

    @ivar limit: bytes that a line may have, without its newline.
    """

    __slots__ = ("_buffer", "_searched", "_skipping", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._skipping = False

    @property
    def pending(self) -> int:
        """Bytes held of a line that has not ended yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes | None]:
        """Take bytes; give the lines that they end, and None for each one over the limit.

        The None comes once, as soon as the limit is passed; the rest of that
        line is thrown away.
        """
        self._buffer += data
        lines: list[bytes | None] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            line = bytes(self._buffer[start:end])
            if self._skipping:
                self._skipping = False
            else:
                lines.append(line if len(line) <= self.limit else None)
            start = end + 1
        del self._buffer[:start]
        self._bound(lines)
        self._searched = len(self._buffer)
        return lines

    def _bound(self, lines: list[bytes | None]) -> None:
        if len(self._buffer) > self.limit and not self._skipping:
            self._skipping = True
            lines.append(None)
        if self._skipping:
            self._buffer.clear()
