"""The last lines of an output, as they came. Pure.

Bytes become lines when somebody asks for them, and are not kept as lines: most
output is never read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from clove.messages.agents import LogLine

__all__ = ["PIECE", "Tail"]

PIECE = 256
"""Bytes of memory that each piece takes besides its text, rounded up."""

_STREAMS = {1: "stdout", 2: "stderr"}


class _Piece(NamedTuple):
    """Whole lines that came at once.

    @ivar body: each line ends with a newline.
    @ivar lines: how many, long ones cut.
    @ivar first: offset of the first one.
    @ivar at: seconds, Unix time.
    @ivar size: bytes without the newlines.
    @ivar partial: the last one goes on in a later piece, or ended without a newline.
    """

    stream: int
    body: bytes
    lines: int
    first: int
    at: float
    size: int
    partial: bool


class Tail:
    """The most of the latest lines that keeps within two limits.

    @ivar following: the offset that the next line will have.
    @param lines: lines held.
    @param held: bytes held, as they came, newlines not counted.
    @param line: bytes of one line; a longer one is cut into several.
    """

    def __init__(self, lines: int, held: int, line: int) -> None:
        self._most = lines
        self._held = held
        self._line = line
        self._pieces: deque[_Piece] = deque()
        self._lines = 0
        self._size = 0
        self.following = 0

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes, about."""
        return self._size + self._lines + PIECE * len(self._pieces)

    def add(self, stream: int, body: bytes, at: float, *, partial: bool = False) -> None:
        """Hold whole lines; drop what they push out, read or not.

        @param body: ends with a newline.
        @param at: seconds, Unix time.
        @param partial: the last newline is not the agent's.
        """
        newlines = body.count(b"\n")
        count = newlines + _pieces_more(body, self._line)
        piece = _Piece(stream, body, count, self.following, at, len(body) - newlines, partial)
        self._pieces.append(piece)
        self.following += count
        self._lines += count
        self._size += piece.size
        first = self._pieces[0]
        while self._lines - first.lines >= self._most or self._size - first.size > self._held:
            self._pieces.popleft()
            self._lines -= first.lines
            self._size -= first.size
            first = self._pieces[0]

    def clear(self) -> None:
        """Hold nothing more of what there was: it counts as lost."""
        self._pieces.clear()
        self._lines = self._size = 0

    def skip(self, lines: int) -> None:
        """So many went past that are not here: what came before them is dropped, too."""
        self.clear()
        self.following += lines

    def since(self, offset: int, most: int) -> tuple[list[LogLine], int]:
        """Lines from an offset on, and how many before them were asked for but are lost.

        @param most: lines given at most.
        """
        wanted: deque[_Piece] = deque()
        for piece in reversed(self._pieces):
            if piece.first + piece.lines <= offset:
                break
            wanted.appendleft(piece)
        found: list[LogLine] = []
        for piece in wanted:
            found.extend(self._read(piece, max(offset, piece.first), most - len(found)))
            if len(found) >= most:
                break
        reached = found[0].offset if found else self.following
        return found, max(0, reached - offset)

    def _read(self, piece: _Piece, offset: int, most: int) -> Iterator[LogLine]:
        """A piece's lines from an offset on, without those that the limits leave out."""
        lines = self._split(piece)
        start = offset - piece.first
        if piece is self._pieces[0]:
            start = max(start, self._beyond(lines))
        stamp = datetime.fromtimestamp(piece.at, UTC).isoformat(timespec="milliseconds")
        for number, (line, partial) in enumerate(lines[start : start + most], piece.first + start):
            yield LogLine(
                offset=number,
                stream=_STREAMS[piece.stream],
                text=line.decode("utf-8", "replace"),
                timestamp=stamp,
                partial=partial,
            )

    def _beyond(self, lines: list[tuple[bytes, bool]]) -> int:
        """How many lines of the oldest piece are too many; of the others none is."""
        first = self._pieces[0]
        kept = self._most - (self._lines - first.lines)
        room = self._held - (self._size - first.size)
        start = max(0, len(lines) - kept)
        for index in range(len(lines) - 1, start - 1, -1):
            room -= len(lines[index][0])
            if room < 0:
                return index + 1
        return start

    def _split(self, piece: _Piece) -> list[tuple[bytes, bool]]:
        """Its lines, and whether each is partial."""
        lines = piece.body[:-1].split(b"\n")
        if len(lines) == piece.lines:
            split = [(line, False) for line in lines]
        else:
            limit = self._line
            split = [
                (line[start : start + limit], start + limit < len(line))
                for line in lines
                for start in range(0, len(line) or 1, limit)
            ]
        if piece.partial:
            split[-1] = (split[-1][0], True)
        return split


def _pieces_more(body: bytes, limit: int) -> int:
    """How many more lines than newlines there are when long lines are cut."""
    more = at = 0
    end = len(body)
    while end - at > limit:
        newline = body.rfind(b"\n", at, at + limit + 1)
        if newline < 0:
            newline = body.find(b"\n", at)
            more += (newline - at - 1) // limit
        at = newline + 1
    return more
