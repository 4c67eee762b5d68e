"""A sandbox that cannot be told what it is: nothing of it stays watched.

A descriptor that is closed while the reactor watches it leaves its number behind: what gets that
number next, an operator's connection perhaps, is never read.
"""

from __future__ import annotations

import errno
import os
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import SandboxSpec
from clove.threads.threads import Threads


class Watching(Clock):
    """A reactor that only keeps who is to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        assert reader.fileno() >= 0
        self.readers.discard(reader)

    def removeWriter(self, writer: Any) -> None:
        assert writer.fileno() >= 0


def test_a_child_that_cannot_be_given_its_mounts_is_watched_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watching = Watching()
    child = ForkedProcess(watching)
    spec = SandboxSpec(argv=("/none",), namespaces=frozenset({"pid", "mnt"}), seccomp=False)
    threads = Threads(cast("Any", reactor))
    sandbox = Sandbox(watching, threads, spec, lambda *_: None, LaunchLimits())
    tree = os.open(os.devnull, os.O_RDONLY)

    def full(descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", full)
            with pytest.raises(LimitExceeded, match="no descriptor left"):
                sandbox.attach(child, child.control, trees=[tree])
        child.abandon()
        child.close_inner_ends()
        child.lost()
        assert watching.readers == set()
    finally:
        os.close(tree)
