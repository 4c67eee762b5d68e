"""What a launch gives its program, and what is told and left when it fails."""

from __future__ import annotations

import contextlib
import os

import pytest
from msgspec.structs import replace
from twisted.internet.defer import CancelledError

from clove.errors import (
    IsolationUnavailable,
    LimitExceeded,
    NotFound,
    TimedOut,
    Unavailable,
)
from clove.sandbox.channel import ControlSocket
from clove.sandbox.interface import ExitStatus
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.launcher import Launcher
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec
from clove.threads.threads import Threads
from tests.integration.sandbox.launching import (
    PATH,
    Heard,
    Spec,
    inside,
    nothing_passes,
    reactor,
)


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


async def test_a_spec_that_cannot_be_sent_fails_the_launch_at_once_and_leaves_nothing(
    launcher: Launcher, place: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ControlSocket, "_send_piece", nothing_passes)
    with pytest.raises(LimitExceeded, match="Too many references"):
        await launcher.launch(place("sleep 1000"), Heard())


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
    assert heard.text[1].split() == [b"123", b"0", b"%d" % min(os.nice(0) + 5, 19)]


async def test_a_long_argument_and_environment_arrive(launcher: Launcher, place: Spec) -> None:
    heard = Heard()
    env = {**PATH, **{f"N{number}": "x" * 100_000 for number in range(8)}}
    spec = place("", argv=("sh", "-c", "echo ${#N7}:${#1}", "sh", "y" * 120_000), env=env)
    await (await launcher.launch(spec, heard)).done
    assert heard.text[1] == b"100000:120000\n"


async def test_the_hosts_interfaces_are_not_listed_where_the_network_is_the_hosts(
    launcher: Launcher, workspace: str
) -> None:
    script = "import socket\ntry: print(socket.if_nameindex())\nexcept OSError as e: print(e.errno)"
    for kinds, said in (
        (frozenset(NAMESPACES), b"[(1, 'lo')]\n"),
        (frozenset(NAMESPACES) - {"net"}, b"1\n"),
    ):
        spec = inside(workspace, argv=("/usr/bin/python3", "-c", script), namespaces=kinds)
        heard = Heard()
        sandbox = await launcher.launch(spec, heard)
        await sandbox.done
        assert heard.text[1] == said
