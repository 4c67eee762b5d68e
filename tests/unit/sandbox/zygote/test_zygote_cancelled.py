"""Starts that are given up while a thread opens something for them: an agent's KILL does it to its child."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from clove.sandbox.spec import Bind, SandboxSpec
from clove.sandbox.zygote.child import Beyond, MountDescriptors, NewChild
from clove.sandbox.zygote.ids import IdRange
from clove.sandbox.zygote.settings import ZygoteSettings
from clove.sandbox.zygote.zygote import Zygote


class SlowThreads:
    """Do what they are asked for when the test says so."""

    def __init__(self) -> None:
        self._asked: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred(lambda _: None)
        self._asked.append((lambda: function(*args), done))
        return done

    def finish(self) -> Any:
        function, done = self._asked.pop()
        result = function()
        if not done.called:
            done.callback(result)
        return result


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def failures_of(work: Deferred[Any]) -> list[Any]:
    failures: list[Any] = []
    work.addErrback(failures.append)
    return failures


class Cgroup:
    def open(self) -> int:
        return os.open("/", os.O_PATH | os.O_CLOEXEC)


def test_a_fork_that_is_given_up_closes_its_cgroup() -> None:
    threads: Any = SlowThreads()
    anything: Any = None
    zygote = Zygote(Clock(), threads, ZygoteSettings(), anything, "python3", None, None)
    cgroup: Any = Cgroup()
    forking = Deferred.fromCoroutine(zygote.fork(cgroup))
    failures = failures_of(forking)
    forking.cancel()
    descriptor = threads.finish()
    assert not is_open(descriptor)
    assert [one.type for one in failures] == [CancelledError]


@pytest.mark.skipif(os.getuid() != 0, reason="only root opens mounts for others")
def test_a_child_that_is_given_up_closes_its_mounts() -> None:
    threads: Any = SlowThreads()
    sandbox: Any = type("Sandbox", (), {"spec": SandboxSpec(argv=("x",), env={})})
    process: Any = None
    zygote: Any = type("Zygote", (), {"base": sandbox.spec})
    child = NewChild(process, zygote, IdRange(0x70000000), None, MountDescriptors())
    more = Beyond(False, (Bind("/usr", "/usr"),), {})
    settling = Deferred.fromCoroutine(child.settle(sandbox, more, threads))
    failures = failures_of(settling)
    before = set(os.listdir("/proc/self/fd"))
    settling.cancel()
    threads.finish()
    assert child.held.trees == []
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # of the listing itself
    assert [one.type for one in failures] == [CancelledError]
