"""A kernel that can have no more descriptors keeps none of what it could not use."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from clove.errors import LimitExceeded
from clove.sandbox import forked
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.remote import RemoteCommand
from tests.unit.sandbox.descriptor_watch import Watch


def failing(real: Callable[..., Any], after: int) -> Callable[..., Any]:
    """A call that fails after some times, as where RLIMIT_NOFILE or a user's pages are used up."""
    calls = iter(range(after))

    def call(*words: Any) -> Any:
        if next(calls, None) is None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*words)

    return call


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_command_without_room_for_its_pipes_is_refused(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, watch = descriptors(), Watch()
    monkeypatch.setattr(os, "pipe2", failing(os.pipe2, after))
    with pytest.raises(LimitExceeded, match="Too many open files"):
        RemoteCommand(watch, lambda *_: None, lambda: None)
    assert descriptors() == before
    assert watch.readers == set()


@pytest.mark.parametrize("after", [0, 1])
def test_no_child_is_asked_for_without_room_for_its_pipes(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, watch = descriptors(), Watch()
    monkeypatch.setattr(os, "pipe2", failing(os.pipe2, after))
    with pytest.raises(OSError, match="Too many open files"):
        ForkedProcess(watch)
    assert descriptors() == before
    assert watch.readers == set()


def test_no_child_is_asked_for_without_room_for_its_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, watch = descriptors(), Watch()
    monkeypatch.setattr(forked, "socket_pair", failing(socket.socketpair, 0))
    with pytest.raises(OSError, match="Too many open files"):
        ForkedProcess(watch)
    assert descriptors() == before
    assert watch.readers == set()
