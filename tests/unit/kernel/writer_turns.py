"""A reactor for writers alone, whose turns a test makes."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

__all__ = ["Reactor", "failure"]


class Reactor:
    """Writers are asked when the test says so."""

    def __init__(self) -> None:
        self.writers: set[Any] = set()

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def turn(self) -> None:
        for writer in list(self.writers):
            writer.doWrite()


def failure(deferred: Deferred[None]) -> str:
    """What it has failed with."""
    found: list[str] = []
    deferred.addErrback(lambda failed: found.append(str(failed.value)))
    [text] = found
    return text
