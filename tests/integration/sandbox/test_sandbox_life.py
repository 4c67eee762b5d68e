"""The launcher with real processes: output, signals, pauses, ends."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.errors import Unavailable
from clove.sandbox.interface import Command, ExitStatus
from clove.sandbox.launcher import Launcher
from tests.integration.sandbox.launching import (
    KILLED,
    Heard,
    Spec,
    holders_of,
    parent_of,
    process_state,
    until,
)


async def test_output_and_exit_code_arrive(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    sandbox = await launcher.launch(place("echo out; echo err >&2; exit 7"), heard)
    assert await sandbox.done == ExitStatus(code=7)
    assert heard.text == {1: b"out\n", 2: b"err\n"}


async def test_the_signal_that_ended_it_is_told(launcher: Launcher, place: Spec) -> None:
    sandbox = await launcher.launch(place("kill -SEGV $$"), Heard())
    assert await sandbox.done == ExitStatus(signal=signal.SIGSEGV)


async def test_the_pid_is_the_hosts(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    sandbox = await launcher.launch(place("echo up; exec sleep 100"), heard)
    await heard.wait(b"up")
    assert Path(f"/proc/{sandbox.pid}/comm").read_text() in ("sh\n", "sleep\n")
    sandbox.kill()
    assert await sandbox.done == KILLED
    assert not os.path.exists(f"/proc/{sandbox.pid}")


async def test_its_output_is_whole_when_it_is_done(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    sandbox = await launcher.launch(place("head -c 3000000 /dev/zero"), heard)
    assert await sandbox.done == ExitStatus(code=0)
    assert len(heard.text[1]) == 3_000_000


async def test_held_output_stays_in_the_pipe(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    sandbox = await launcher.launch(place("read x; yes", argv=("yes",)), heard)
    sandbox.outputs.hold(True)
    before = len(heard.text[1])
    command = await sandbox.run(Command(("true",)), Heard())
    await command.done
    assert len(heard.text[1]) == before
    sandbox.outputs.hold(False)
    await heard.wait(b"y\n" * (before // 2 + 100_000))
    sandbox.kill()
    await sandbox.done


async def test_terminate_reaches_all_processes(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    script = "trap 'echo main; exit 0' TERM; (trap 'echo child; exit 0' TERM; echo up; while :; do sleep 0.01; done) & while :; do sleep 0.01; done"
    sandbox = await launcher.launch(place(script), heard)
    await heard.wait(b"up")
    sandbox.terminate()
    assert await sandbox.done == ExitStatus(code=0)
    assert b"main" in heard.text[1]


async def test_everything_ends_with_the_main_program(
    launcher: Launcher, place: Spec, workspace: str
) -> None:
    """Nobody holds the other end of the pipe any more once it is done."""
    script = """
    mkfifo alive
    setsid sh -c 'trap "" TERM HUP; exec 3>alive; echo >up; sleep 1000' &
    exec 4<alive
    while ! test -e up; do sleep 0.01; done
    """
    sandbox = await launcher.launch(place(script), Heard())
    assert await sandbox.done == ExitStatus(code=0)
    assert not holders_of(os.path.join(workspace, "alive"))


async def test_kill_ends_processes_that_left_the_session(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    script = "setsid setsid sh -c 'trap \"\" TERM; echo up; sleep 1000' & sleep 1000"
    sandbox = await launcher.launch(place(script), heard)
    await heard.wait(b"up")
    sandbox.kill()
    status = await sandbox.done
    assert status == KILLED


async def test_a_paused_agent_stands_still_and_goes_on(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    sandbox = await launcher.launch(place("echo up; while :; do :; done"), heard)
    await heard.wait(b"up")
    await sandbox.pause()
    await until(lambda: process_state(sandbox.pid) == "T")
    await sandbox.resume()
    await until(lambda: process_state(sandbox.pid) in "RS")
    sandbox.kill()
    await sandbox.done


async def test_a_paused_agent_can_be_terminated(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    sandbox = await launcher.launch(place("echo up; while :; do :; done"), heard)
    await heard.wait(b"up")
    await sandbox.pause()
    sandbox.terminate()
    assert await sandbox.done == ExitStatus(signal=signal.SIGTERM)


async def test_a_paused_agent_can_be_killed(launcher: Launcher, place: Spec) -> None:
    sandbox = await launcher.launch(place("sleep 1000"), Heard())
    await sandbox.pause()
    sandbox.kill()
    assert await sandbox.done == KILLED


async def test_what_has_ended_cannot_be_paused_and_says_so(launcher: Launcher, place: Spec) -> None:
    sandbox = await launcher.launch(place("exit 3"), Heard())
    assert await sandbox.done == ExitStatus(code=3)
    with pytest.raises(Unavailable, match="the agent has ended") as refused:
        await sandbox.pause()
    assert "clove ps -a" in refused.value.hint


async def test_kill_works_when_init_is_stopped(launcher: Launcher, place: Spec) -> None:
    sandbox = await launcher.launch(place("sleep 1000"), Heard())
    os.kill(parent_of(sandbox.pid), signal.SIGSTOP)
    sandbox.kill()
    assert await sandbox.done == KILLED


@pytest.fixture
def cgroup() -> Iterator[str]:
    """An empty cgroup of version 2."""
    with open("/proc/self/mountinfo") as mounts:
        roots = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    if not roots or not os.access(roots[0], os.W_OK):
        pytest.skip("no cgroup v2 that may be written")
    path = tempfile.mkdtemp(dir=roots[0], prefix="clove-test-")
    yield path
    os.rmdir(path)


async def test_a_cgroup_is_joined_frozen_and_killed(
    launcher: Launcher, place: Spec, cgroup: str
) -> None:
    heard = Heard()
    script = "setsid sh -c 'trap \"\" TERM; while :; do :; done' & echo up; while :; do :; done"
    spec = place(script, cgroup_procs=(f"{cgroup}/cgroup.procs",))
    sandbox = await launcher.launch(spec, heard)
    await heard.wait(b"up")
    assert sandbox.isolation.cgroup
    assert str(sandbox.pid) in Path(cgroup, "cgroup.procs").read_text().split()
    await sandbox.pause()
    assert "frozen 1" in Path(cgroup, "cgroup.events").read_text()
    await sandbox.resume()
    assert "frozen 0" in Path(cgroup, "cgroup.events").read_text()
    await sandbox.pause()
    sandbox.kill()
    assert await sandbox.done == KILLED
    await until(lambda: "populated 0" in Path(cgroup, "cgroup.events").read_text())


async def test_an_agent_in_a_frozen_cgroup_can_be_terminated(
    launcher: Launcher, place: Spec, cgroup: str
) -> None:
    spec = place("while :; do :; done", cgroup_procs=(f"{cgroup}/cgroup.procs",))
    sandbox = await launcher.launch(spec, Heard())
    await sandbox.pause()
    sandbox.terminate()
    assert await sandbox.done == ExitStatus(signal=signal.SIGTERM)
