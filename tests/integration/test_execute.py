"""EXEC on the host: real commands, started by the real launcher."""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from clove.errors import InvalidRequest, LimitExceeded, NotFound, PermissionDenied
from clove.kernel.calls.execute import execute
from clove.kernel.connection.stream import Stream
from clove.kernel.context import Context
from clove.kernel.files import Commands, ExecLimits, FileLimits
from clove.kernel.principal import Kind, Principal
from clove.messages.execute import ExecReply, ExecRequest
from clove.policy import for_level
from clove.sandbox.environment import public_environment
from clove.sandbox.host import HostView
from clove.sandbox.launcher import Launcher
from clove.threads.threads import Threads


@dataclass
class Parts:
    """What EXEC, READ and WRITE use of a kernel."""

    clock: Any
    threads: Threads
    commands: Commands
    file_limits: FileLimits = field(default_factory=FileLimits)


@dataclass
class Caller:
    """An unrestricted operator on the host."""

    context: Context
    directory: Path

    async def run(self, command: str | list[str], **fields: Any) -> ExecReply:
        """EXEC, its reply decoded."""
        reply = await execute(self.context, request(command, **fields))
        return msgspec.json.decode(reply, type=ExecReply) if isinstance(reply, bytes) else reply


def request(command: str | list[str], **fields: Any) -> ExecRequest:
    return msgspec.convert({"command": command, **fields}, ExecRequest)


def gone(pid: int) -> bool:
    """A process is no more, or only waits to be reaped."""
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    from twisted.internet import reactor

    threads = Threads(reactor, 2)  # type: ignore[arg-type]
    threads.start()
    environ = {**public_environment(os.environ), "FROM_KERNEL": "yes"}
    view = HostView(threads, Launcher(reactor, threads), str(tmp_path), environ)
    principal = Principal(7, Kind.OPERATOR, for_level("unrestricted"), view=view)
    limits = ExecLimits(output_bytes=100_000, flood_bytes=2_000_000, per_agent=2)
    parts: Any = Parts(reactor, threads, Commands(reactor, limits))
    yield Caller(Context(parts, principal), tmp_path)
    threads.stop()


async def test_a_line_is_run_by_the_shell(caller: Caller) -> None:
    reply = await caller.run("echo out; echo err >&2; exit 3")
    assert reply == ExecReply(success=False, stdout="out\n", stderr="err\n", exit_code=3)
    assert (await caller.run("true")).success


async def test_words_are_run_without_a_shell(caller: Caller) -> None:
    reply = await caller.run(["printf", "%s.", "a b", "$HOME;"])
    assert reply.stdout == "a b.$HOME;."


async def test_input_environment_and_directory_are_given(caller: Caller) -> None:
    (caller.directory / "sub").mkdir()
    reply = await caller.run(
        "cat; echo $X $FROM_KERNEL; pwd", stdin="in\n", env={"X": "y"}, cwd="sub"
    )
    assert reply.stdout == f"in\ny yes\n{os.path.realpath(caller.directory)}/sub\n"


async def test_the_principals_directory_is_where_commands_start(caller: Caller) -> None:
    (caller.directory / "own").mkdir()
    caller.context.principal.cwd = str(caller.directory / "own")
    assert (await caller.run("pwd")).stdout.endswith("/own\n")
    assert (await caller.run("pwd", cwd="..")).stdout.rstrip().endswith(caller.directory.name)


async def test_without_stdin_it_is_at_its_end(caller: Caller) -> None:
    assert (await caller.run("cat; echo end")).stdout == "end\n"


async def test_a_program_or_directory_that_is_missing(caller: Caller) -> None:
    with pytest.raises(NotFound):
        await caller.run(["/no/such/program"])
    with pytest.raises(NotFound, match="/no/such"):
        await caller.run("true", cwd="/no/such")
    assert (await caller.run("/no/such/program")).exit_code == 127


async def test_a_signal_is_told_as_shells_do(caller: Caller) -> None:
    reply = await caller.run(["/bin/sh", "-c", "kill -SEGV $$"])
    assert (reply.success, reply.exit_code) == (False, 128 + signal.SIGSEGV)


async def test_a_command_over_its_time_is_killed_with_all_its_children(caller: Caller) -> None:
    reply = await caller.run("echo $$; sleep 1000 & echo $!; wait", timeout=3)
    assert (reply.success, reply.timed_out, reply.exit_code) == (False, True, 137)
    assert reply.reason == "timeout"
    pids = [int(line) for line in reply.stdout.split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


async def test_max_exec_time_caps_the_timeout(caller: Caller) -> None:
    principal = caller.context.principal
    principal.permissions = msgspec.structs.replace(principal.permissions, max_exec_time_ms=300)
    assert (await caller.run("sleep 1000", timeout=900)).timed_out


async def test_cancelling_kills_it(caller: Caller) -> None:
    mark = caller.directory / "pid"
    started: Deferred[None] = Deferred()

    def said(_: object) -> None:
        if not started.called:
            started.callback(None)

    caller.context.stream = cast("Stream", said)
    waiting = Deferred.fromCoroutine(
        execute(caller.context, request(f"echo $$ > {mark}; echo up; exec sleep 1000"))
    )
    await started
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    await caller.run("true")  # the reactor goes on until that is over
    while caller.context.kernel.commands.count():
        await caller.run("true")
    assert gone(int(mark.read_text()))


async def test_output_is_bounded_and_the_command_goes_on(caller: Caller) -> None:
    reply = await caller.run("head -c 300000 /dev/zero | tr '\\0' x; echo done >&2")
    assert (reply.success, reply.truncated, len(reply.stdout)) == (True, True, 100_000)
    assert reply.stderr == "done\n"


async def test_a_flood_is_ended(caller: Caller) -> None:
    reply = await caller.run("yes", timeout=60)
    assert (reply.success, reply.truncated, reply.reason) == (False, True, "output")


async def test_output_that_is_no_text_is_replaced(caller: Caller) -> None:
    assert (await caller.run("printf 'a\\377b'")).stdout == "a\ufffdb"


async def test_output_is_streamed_and_given_whole_at_the_end(caller: Caller) -> None:
    parts: list[Any] = []
    caller.context.stream = cast("Stream", parts.append)
    reply = await caller.run("printf ä; printf e >&2; printf b", stream=True)
    assert "".join(part.stdout for part in parts) == reply.stdout == "äb"
    assert "".join(part.stderr for part in parts) == reply.stderr == "e"


async def test_commands_at_once_are_limited(caller: Caller) -> None:
    slow = [Deferred.fromCoroutine(caller.run("sleep 1000")) for _ in range(2)]
    with pytest.raises(LimitExceeded):
        await caller.run("true")
    for one in slow:
        one.cancel()
        with pytest.raises(CancelledError):
            await one


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"command": ""}, InvalidRequest),
        ({"command": [""]}, InvalidRequest),
        ({"command": "a\0b"}, InvalidRequest),
        ({"command": ["true", "a\0b"]}, InvalidRequest),
        ({"command": "true", "env": {"A=B": "x"}}, InvalidRequest),
        ({"command": "true", "env": {"": "x"}}, InvalidRequest),
        ({"command": "true", "env": {"A": "x\0"}}, InvalidRequest),
        ({"command": "true", "env": {f"A{n}": "" for n in range(257)}}, LimitExceeded),
        ({"command": "true", "env": {"A": "x" * 140_000}}, LimitExceeded),
        ({"command": "true " + "x" * 140_000}, LimitExceeded),
    ],
)
async def test_requests_that_make_no_sense(
    caller: Caller, fields: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await caller.run(**fields)


async def test_policy_judges_the_command(caller: Caller) -> None:
    caller.context.principal.permissions = for_level("sandboxed")
    with pytest.raises(PermissionDenied) as caught:
        await caller.run("sudo id")
    assert "blocked_commands" in caught.value.rule


async def test_strangers_have_no_commands(caller: Caller) -> None:
    caller.context.principal.view = None
    with pytest.raises(PermissionDenied) as caught:
        await caller.run("true")
    assert caught.value.rule == "peer-uid"


async def test_the_kernels_secrets_are_not_inherited(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "hidden-key")
    view = caller.context.principal.view
    assert isinstance(view, HostView)
    caller.context.principal.view = HostView(view._threads, view._launcher, "/")
    reply = await caller.run("env; cat /proc/$PPID/environ | tr '\\0' '\\n'")
    assert "PATH=" in reply.stdout
    assert "hidden-key" not in reply.stdout + reply.stderr
