"""What watches descriptors in place of a reactor, and turns by hand."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock


class Watch(Clock):
    """The part of a reactor that watches descriptors, and its clock."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)
