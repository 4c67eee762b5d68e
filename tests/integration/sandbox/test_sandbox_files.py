"""Files that are resolved and opened inside a sandbox."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from clove.errors import (
    LimitExceeded,
    NotFound,
    PermissionDenied,
    TimedOut,
)
from clove.sandbox.interface import Command
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.launcher import Launcher
from clove.threads.threads import Threads
from tests.integration.sandbox.launching import (
    Heard,
    inside,
    parent_of,
    reactor,
)


async def test_files_inside_are_resolved_and_opened(launcher: Launcher, workspace: str) -> None:
    sandbox = await launcher.launch(inside(workspace, argv=("sleep", "1000")), Heard())
    held = await sandbox.resolve("../workspace//file")
    assert (held.path, held.kind) == ("/workspace/file", "missing")
    with pytest.raises(NotFound):
        await held.open(os.O_RDONLY)
    descriptor = await held.open(os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"text")
    os.close(descriptor)
    held.close()
    held.close()
    assert Path(workspace, "file").read_text() == "text"
    again = await sandbox.resolve("/workspace/file")
    assert (again.kind, again.size, again.links) == ("file", 4, 1)
    again.close()
    sandbox.kill()
    await sandbox.done


async def test_what_the_agent_may_not_read_is_refused(launcher: Launcher, workspace: str) -> None:
    sandbox = await launcher.launch(inside(workspace, argv=("sleep", "1000")), Heard())
    for path in ("/proc/self/root/etc/passwd", "/dev/fd/0", "/proc/1/cwd/x"):
        with pytest.raises(PermissionDenied) as refused:
            await sandbox.resolve(path)
        assert refused.value.rule in ("magic-link", "os")
    for path in ("/proc/self/environ", "/proc/1/status"):
        with pytest.raises(PermissionDenied) as refused:
            await sandbox.resolve(path)
        assert refused.value.rule == "proc"
    held = await sandbox.resolve("/etc/passwd")
    with pytest.raises(PermissionDenied, match=r"read-only|refuses"):
        await held.open(os.O_WRONLY)
    held.close()
    with pytest.raises(NotFound):
        await sandbox.resolve("/no/such/path")
    sandbox.kill()
    await sandbox.done


async def test_too_many_held_files_are_refused(threads: Threads, workspace: str) -> None:
    launcher = Launcher(reactor, threads, limits=LaunchLimits(handles=2))
    sandbox = await launcher.launch(inside(workspace, argv=("sleep", "1000")), Heard())
    held = [await sandbox.resolve("/etc/passwd") for _ in range(2)]
    with pytest.raises(LimitExceeded, match="at most 2 files"):
        await sandbox.resolve("/etc/passwd")
    held[0].close()
    (await sandbox.resolve("/etc/passwd")).close()
    sandbox.kill()
    await sandbox.done


async def test_requests_of_a_stopped_init_time_out(threads: Threads, workspace: str) -> None:
    launcher = Launcher(reactor, threads, limits=LaunchLimits(request_timeout=0.2))
    sandbox = await launcher.launch(inside(workspace, argv=("sleep", "1000")), Heard())
    os.kill(parent_of(sandbox.pid), signal.SIGSTOP)
    with pytest.raises(TimedOut):
        await sandbox.resolve("/etc/passwd")
    with pytest.raises(TimedOut):
        await sandbox.run(Command(("true",)), Heard())
    sandbox.kill()
    await sandbox.done
