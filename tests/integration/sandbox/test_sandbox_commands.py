"""Commands beside a main program, and those of the host's own view."""

from __future__ import annotations

import resource

import pytest

from clove.errors import (
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from clove.sandbox.channel import ControlSocket
from clove.sandbox.interface import Command, ExitStatus
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.launcher import Launcher
from clove.sandbox.running import Sandbox
from clove.threads.threads import Threads
from tests.integration.sandbox.launching import (
    KILLED,
    PATH,
    Heard,
    Spec,
    no_descriptor_passes,
    parent_of,
    reactor,
)


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


async def test_a_command_that_cannot_be_asked_for_fails_at_once_and_others_go_on(
    sleeper: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ControlSocket, "_send_piece", no_descriptor_passes)
        with pytest.raises(LimitExceeded, match="Too many references"):
            await sleeper.run(Command(("true",)), Heard())
    assert await (await sleeper.run(Command(("true",)), Heard())).done == ExitStatus(code=0)


async def test_a_command_has_the_program_s_limit_of_descriptors_and_init_more(
    launcher: Launcher, place: Spec
) -> None:
    sandbox = await launcher.launch(place("sleep 1000", rlimits={"nofile": 123}), Heard())
    heard = Heard()
    running = await sandbox.run(Command(("sh", "-c", "ulimit -n; ulimit -Hn")), heard)
    await running.done
    assert heard.text[1].split() == [b"123", b"123"]
    init = parent_of(sandbox.pid)
    assert resource.prlimit(init, resource.RLIMIT_NOFILE)[0] > 123
    sandbox.kill()
    await sandbox.done


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
