"""The launcher with real processes: in namespaces and on the host."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from clove.errors import (
    IsolationUnavailable,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    TimedOut,
    Unavailable,
)
from clove.kernel.threads import Threads
from clove.sandbox.interface import Command, ExitStatus
from clove.sandbox.launcher import Launcher, LaunchLimits
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec

reactor: Any = installed_reactor
OUTSIDE_UID = 231_072
PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
KILLED = ExitStatus(signal=signal.SIGKILL)


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(reactor, 2)
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture
def launcher(threads: Threads) -> Launcher:
    return Launcher(reactor, threads)


@pytest.fixture
def workspace() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as path:
        if os.getuid() == 0:
            os.chown(path, OUTSIDE_UID, OUTSIDE_UID)
        yield path


@pytest.fixture(params=["sandbox", "host"])
def place(request: pytest.FixtureRequest, workspace: str) -> Callable[..., SandboxSpec]:
    """Makes the spec of a shell script, inside or outside."""

    def spec(script: str, **fields: Any) -> SandboxSpec:
        fields = {"argv": ("sh", "-c", script), "env": PATH, **fields}
        if request.param == "host":
            return SandboxSpec(**{"cwd": workspace, **fields})
        return inside(workspace, **fields)

    return spec


def inside(workspace: str, **fields: Any) -> SandboxSpec:
    return SandboxSpec(
        **{
            "namespaces": frozenset(NAMESPACES),
            "uid": OUTSIDE_UID if os.getuid() == 0 else None,
            "binds": (Bind(workspace, "/workspace", writable=True),),
            "cwd": "/workspace",
            "env": PATH,
            **fields,
        }
    )


class Heard:
    """What a program writes; `wait` fires when it has written some text."""

    def __init__(self) -> None:
        self.text = {1: b"", 2: b""}
        self._waiting: list[tuple[bytes, Deferred[None]]] = []

    def __call__(self, stream: int, data: bytes) -> None:
        self.text[stream] += data
        for wanted, waiter in list(self._waiting):
            if wanted in self.text[1]:
                self._waiting.remove((wanted, waiter))
                waiter.callback(None)

    def wait(self, wanted: bytes) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._waiting.append((wanted, waiter))
        self(1, b"")
        return waiter


Spec = Callable[..., SandboxSpec]


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
    sandbox.hold_output(True)
    before = len(heard.text[1])
    command = await sandbox.run(Command(("true",)), Heard())
    await command.done
    assert len(heard.text[1]) == before
    sandbox.hold_output(False)
    await heard.wait(b"y\n" * (before // 2 + 100_000))
    sandbox.kill()
    await sandbox.done


async def test_terminate_reaches_everybody(launcher: Launcher, place: Spec) -> None:
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


async def test_kill_works_when_init_is_stopped(launcher: Launcher, place: Spec) -> None:
    sandbox = await launcher.launch(place("sleep 1000"), Heard())
    os.kill(parent_of(sandbox.pid), signal.SIGSTOP)
    sandbox.kill()
    assert await sandbox.done == KILLED


async def until(condition: Callable[[], bool]) -> None:
    """Let the reactor turn until something holds; the test's time limit bounds it."""
    while not condition():
        await deferLater(reactor, 0)


def holders_of(path: str) -> list[str]:
    """Processes that have a file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.path.samefile(link, path):
                found.append(link.parts[2])
    return found


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest_twisted.async_yield_fixture()  # type: ignore[untyped-decorator]
async def sleeper(launcher: Launcher, place: Spec) -> AsyncIterator[Sandbox]:
    """A sandbox to run commands in."""
    sandbox = await launcher.launch(place("exec sleep 1000"), Heard())
    yield sandbox
    sandbox.kill()
    await sandbox.done


async def test_a_command_has_input_output_and_a_status(sleeper: Sandbox) -> None:
    heard = Heard()
    command = Command(
        ("sh", "-c", "cat; echo $X >&2; exit 3"), env={"X": "y"}, stdin=b"in" * 100_000
    )
    running = await sleeper.run(command, heard)
    assert running.pid > 0
    assert await running.done == ExitStatus(code=3)
    assert heard.text == {1: b"in" * 100_000, 2: b"y\n"}


async def test_a_command_that_does_not_read_its_input_ends(sleeper: Sandbox) -> None:
    running = await sleeper.run(Command(("true",), stdin=b"x" * 1_000_000), Heard())
    assert await running.done == ExitStatus(code=0)


async def test_a_missing_program_or_directory_is_told(sleeper: Sandbox) -> None:
    with pytest.raises(NotFound, match="no such program: 'no-such'"):
        await sleeper.run(Command(("no-such",)), Heard())
    with pytest.raises(NotFound, match="no such directory: '/no-such'"):
        await sleeper.run(Command(("true",), cwd="/no-such"), Heard())
    with pytest.raises(PermissionDenied, match="refuses '/usr'"):
        await sleeper.run(Command(("/usr",)), Heard())


async def test_a_killed_command_takes_its_group_with_it(sleeper: Sandbox) -> None:
    heard = Heard()
    running = await sleeper.run(Command(("sh", "-c", "sleep 1000 | (echo up; cat)")), heard)
    await heard.wait(b"up")
    running.kill()
    assert await running.done == KILLED
    running.kill()


async def test_a_command_does_not_wait_for_daemons(sleeper: Sandbox) -> None:
    """A process that left the group may hold the pipes: the command is over all the same."""
    heard = Heard()
    script = "setsid sh -c 'echo $$ >up; exec sleep 1000' & while ! test -s up; do sleep 0.01; done; echo over"
    running = await sleeper.run(Command(("sh", "-c", script)), heard)
    assert await running.done == ExitStatus(code=0)
    assert heard.text[1] == b"over\n"


async def test_commands_end_with_the_agent(launcher: Launcher, place: Spec) -> None:
    sandbox = await launcher.launch(place("sleep 1000"), Heard())
    running = await sandbox.run(Command(("sleep", "1000")), Heard())
    sandbox.kill()
    assert await running.done == KILLED
    await sandbox.done
    with pytest.raises(Unavailable):
        await sandbox.run(Command(("true",)), Heard())


async def test_too_many_commands_are_refused(threads: Threads, place: Spec) -> None:
    launcher = Launcher(reactor, threads, limits=LaunchLimits(commands=2, handles=1))
    sandbox = await launcher.launch(place("sleep 1000"), Heard())
    for _ in range(2):
        await sandbox.run(Command(("sleep", "1000")), Heard())
    with pytest.raises(LimitExceeded, match="at most 2 commands"):
        await sandbox.run(Command(("true",)), Heard())
    sandbox.kill()
    await sandbox.done


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


async def test_a_missing_main_program_leaves_nothing(launcher: Launcher, place: Spec) -> None:
    with pytest.raises(NotFound, match="no such program"):
        await launcher.launch(place("", argv=("/no/such/program",)), Heard())


async def test_a_launch_that_takes_too_long_leaves_nothing(threads: Threads, place: Spec) -> None:
    launcher = Launcher(reactor, threads, limits=LaunchLimits(launch_timeout=0.001))
    with pytest.raises(TimedOut):
        await launcher.launch(place("sleep 1000"), Heard())


async def test_a_cancelled_launch_leaves_nothing(launcher: Launcher, place: Spec) -> None:
    launch = launcher.launch(place("sleep 1000"), Heard())
    reactor.callLater(0.005, launch.cancel)
    with contextlib.suppress(CancelledError):
        (await launch).kill()


async def test_a_helper_that_is_no_python_fails_cleanly(threads: Threads, place: Spec) -> None:
    with pytest.raises(Unavailable):
        await Launcher(reactor, threads, python="/bin/false").launch(place("true"), Heard())


async def test_a_missing_cgroup_is_named(launcher: Launcher, place: Spec) -> None:
    with pytest.raises(IsolationUnavailable, match="a cgroup of its own cannot be had"):
        await launcher.launch(place("true", cgroup_procs=("/no/such/cgroup.procs",)), Heard())


async def test_a_missing_bind_is_named(launcher: Launcher, workspace: str) -> None:
    spec = inside(workspace, argv=("true",), binds=(Bind("/no/such/file", "/x"),))
    with pytest.raises(IsolationUnavailable, match="/no/such/file"):
        await launcher.launch(spec, Heard())
    spec = inside(workspace, argv=("true",), cwd="/", binds=(Bind("/no", "/x", optional=True),))
    sandbox = await launcher.launch(spec, Heard())
    assert await sandbox.done == ExitStatus(code=0)


async def test_the_fallback_is_taken_only_where_less_is_allowed(
    launcher: Launcher, workspace: str
) -> None:
    impossible = inside(workspace, argv=("true",), binds=(Bind("/no/such", "/x"),))
    on_host = SandboxSpec(argv=("sh", "-c", "echo host"), env=PATH)
    with pytest.raises(IsolationUnavailable):
        await launcher.launch(impossible, Heard(), on_host)
    heard = Heard()
    sandbox = await launcher.launch(replace(impossible, allow_degraded=True), heard, on_host)
    await sandbox.done
    assert heard.text[1] == b"host\n"
    assert "/no/such" in sandbox.isolation.degraded_reason
    assert not any(sandbox.isolation.namespaces.values())


async def test_the_report_tells_what_was_set_up(launcher: Launcher, place: Spec) -> None:
    sandbox = await launcher.launch(place("true"), Heard())
    await sandbox.done
    own = sandbox.isolation.to_wire()["namespaces"]
    assert set(own.values()) == {"user" in sandbox.spec.namespaces}


async def test_limits_of_resources_hold(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    spec = place("ulimit -n; ulimit -c; nice", rlimits={"nofile": 123}, nice=5)
    await (await launcher.launch(spec, heard)).done
    assert heard.text[1].split() == [b"123", b"0", b"5"]


async def test_a_long_argument_and_environment_arrive(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    env = {**PATH, **{f"N{number}": "x" * 100_000 for number in range(8)}}
    spec = place("", argv=("sh", "-c", "echo ${#N7}:${#1}", "sh", "y" * 120_000), env=env)
    await (await launcher.launch(spec, heard)).done
    assert heard.text[1] == b"100000:120000\n"


async def test_commands_of_the_host_view_run(launcher: Launcher) -> None:
    heard = Heard()
    command = Command(("sh", "-c", "cat; pwd; exit 2"), cwd="/usr", env=PATH, stdin=b"x\n")
    running = await launcher.run_host(command, heard)
    assert await running.done == ExitStatus(code=2)
    assert heard.text[1] == b"x\n/usr\n"


async def test_a_host_command_is_killed_with_all_its_children(launcher: Launcher) -> None:
    heard = Heard()
    script = "setsid sh -c 'echo up; sleep 1000' & sleep 1000"
    running = await launcher.run_host(Command(("sh", "-c", script), env=PATH), heard)
    await heard.wait(b"up")
    running.kill()
    assert await running.done == KILLED


async def test_environment_of_the_host_is_exactly_what_is_given(launcher: Launcher) -> None:
    heard = Heard()
    running = await launcher.run_host(Command(("/usr/bin/env",), env={"ONLY": "this"}), heard)
    await running.done
    assert heard.text[1] == b"ONLY=this\n"


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
