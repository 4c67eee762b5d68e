"""A thread of the kernel asks to run soon after it wakes, and what it starts does not have that."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from clove.sandbox.inside import syscalls
from clove.sandbox.time_slice import SLICE, shorten_time_slice
from tests.time_slices import known_slices, read_attributes

T = TypeVar("T")
CHILD = "from tests.time_slices import *; print(*read_attributes())"


def in_a_thread(function: Callable[[], T]) -> T:
    """What it gives in a thread of its own, whose settings end with it."""
    given: list[T] = []
    thread = threading.Thread(target=lambda: given.append(function()))
    thread.start()
    thread.join()
    return given[0]


@pytest.mark.skipif(not known_slices(), reason="Linux before 6.12 has no slices to choose")
def test_the_slice_is_that_threads_alone_and_not_that_of_what_it_starts() -> None:
    before = read_attributes()

    def look() -> tuple[bool, object, object, str]:
        granted = shorten_time_slice()
        child = [sys.executable, "-c", CHILD]
        said = subprocess.run(child, capture_output=True, text=True, check=True).stdout
        return granted, read_attributes(), in_a_thread(read_attributes), said

    granted, own, of_its_thread, said = in_a_thread(look)
    assert granted
    assert own == before._replace(flags=1, slice=SLICE)  # 1: SCHED_FLAG_RESET_ON_FORK
    assert before.slice > SLICE
    assert of_its_thread == before == read_attributes()
    assert tuple(map(int, said.split())) == before


def test_what_an_operator_chose_stays() -> None:
    def look() -> tuple[bool, int]:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        return shorten_time_slice(), os.sched_getscheduler(0)

    assert in_a_thread(look) == (False, os.SCHED_BATCH)

    def be_nice() -> tuple[bool, int]:
        os.setpriority(os.PRIO_PROCESS, 0, 7)
        return shorten_time_slice(), os.getpriority(os.PRIO_PROCESS, 0)

    assert in_a_thread(be_nice) == (True, 7)


def test_a_host_that_does_not_grant_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(1, "no")

    monkeypatch.setattr(syscalls, "call", refuse)
    assert in_a_thread(shorten_time_slice) is False
    other = os.uname_result(("Linux", "here", "6.18", "", "riscv64"))
    monkeypatch.setattr(os, "uname", lambda: other)
    assert in_a_thread(shorten_time_slice) is False
