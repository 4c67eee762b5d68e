"""A kernel for which epoll has no room, as an agent of the same user can make it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from clove import CloveClient
from tests.integration.conftest import KernelProcess

FULL = """
import errno, runpy, select, sys
from twisted.internet import epollreactor

real = select.epoll

class Full:
    def __init__(self, *sizes):
        self._real, self._count = real(), 0
    def register(self, fd, events):
        self._count += 1
        if self._count > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._real.register(fd, events)
    def __getattr__(self, name):
        return getattr(self._real, name)

epollreactor.epoll = select.epoll = Full
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_kernel_serves_when_epoll_takes_nothing_more() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        script, agent = Path(directory, "full.py"), Path(directory, "agent.py")
        script.write_text(FULL)
        agent.write_text("print('ran')\n")
        kernel = KernelProcess(directory, prefix=(sys.executable, str(script)))
        try:
            kernel.start()
            with CloveClient(kernel.socket) as client:
                assert client.exec(["echo", "hello"])["stdout"] == "hello\n"
                started = client.spawn("one", str(agent), sandboxed=False)
                assert client.wait(started["id"], timeout=30)["exit_code"] == 0
                lines = client.logs(started["id"])["lines"]
                assert [line["text"].strip() for line in lines] == ["ran"]
                assert client.noop(b"x" * 1_000_000) == b"x" * 1_000_000
        finally:
            kernel.stop()
        assert "No space left" not in kernel.log
