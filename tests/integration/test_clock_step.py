"""A kernel on a host whose clock is set while it runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clove import CloveClient
from clove.framing import encode
from tests.integration.conftest import SLEEP, KernelProcess, running_kernel, until_up

DAY = 86_400
SITE = """
import os, time
_real, _file = time.time, {file!r}
time.time = lambda: _real() + (86400.0 if os.path.exists(_file) else 0.0)
"""


@dataclass
class Stepping:
    """A kernel whose wall clock jumps."""

    kernel: KernelProcess
    file: Path

    def step(self) -> None:
        self.file.touch()


@pytest.fixture
def stepping(tmp_path: Path) -> Iterator[Stepping]:
    file = tmp_path / "stepped"
    (tmp_path / "usercustomize.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text(SITE.format(file=str(file)))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    with running_kernel(environ={"PYTHONPATH": path}) as kernel:
        yield Stepping(kernel, file)


def test_time_outs_windows_and_running_times_do_not_notice(
    stepping: Stepping, tmp_path: Path
) -> None:
    (tmp_path / "agent.py").write_text(SLEEP)
    frame = encode(0, 0, b"whole in the end")
    with (
        CloveClient(stepping.kernel.socket) as client,
        socket.socket(socket.AF_UNIX) as slow,
    ):
        client.spawn("sleeper", str(tmp_path / "agent.py"), sandboxed=False)
        until_up(client, "sleeper")
        client.store("short", 1, ttl=3000)
        before = client.get_audit_log(limit=1)["entries"][0]["timestamp"]
        slow.settimeout(20)
        slow.connect(stepping.kernel.socket)
        slow.sendall(frame[:20])
        stepping.step()
        client.recv_messages(wait=1.5)  # the time-outs of connections are looked at
        slow.sendall(frame[20:])
        assert slow.recv(100)[17:] == b"whole in the end"
        assert client.fetch("short")["value"] == 1
        [agent] = client.list_agents()
        assert agent["uptime_ms"] < DAY * 1000
        client.store("later", 1)
        after = client.get_audit_log(limit=1000)["entries"][-1]["timestamp"]
    assert after[:10] > before[:10]
