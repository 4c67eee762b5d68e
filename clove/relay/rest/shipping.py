"""How what is deployed gets into a sandbox: what SPAWN is asked, and what is written to standard input after."""

from __future__ import annotations

import base64
import functools
import importlib.resources
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred

from clove.errors import CloveError, InvalidRequest, Unavailable
from clove.relay.kernel_client import KernelClient
from clove.relay.rest.agent_types import Deployment

__all__ = ["check_deployment", "has_files", "send_files", "spawn_fields", "stem_of"]

SCRIPT_RUNNER: Final = (
    "import runpy,sys;n=sys.argv[1];open(n,'wb').write(sys.stdin.buffer.read());"
    "sys.argv=sys.argv[1:];runpy.run_path(n,run_name='__main__')"
)
"""Runs a script that comes by standard input as the file of its name in the working directory."""
ARCHIVE_RUNNER: Final = "import sys;exec(sys.stdin.buffer.read(int(sys.argv[1])))"
"""Runs L{clove.relay.rest.archive_runner}, which comes by standard input in front of the archive."""
FILES: Final = "/workspace/.clove-files"
FILE_RUNNER: Final = f"""\
import os,sys,time
path,size="{FILES}",sum(map(int,sys.argv[1:4]))
for _ in range(600):
 if os.path.isfile(path) and os.path.getsize(path)>=size:break
 time.sleep(.1)
else:sys.exit("clove: the files have not arrived - deploy it again")
sys.stdin=open(path);os.unlink(path);exec(sys.stdin.buffer.read(int(sys.argv[1])))"""
"""The same, where they come as a file: standard input is for who shows the agent."""
SOCKET: Final = "/tmp/clove.sock"  # noqa: S108 the contract's, inside a sandbox
PIECE: Final = 256 << 10
"""Bytes of an archive in one request; the kernel's `max_payload` is more."""
SECONDS: Final = 60.0
"""In which an archive is taken."""
_STEM: Final = 100


def check_deployment(asked: Deployment) -> None:
    """Go on only if it is a script, or a command with an archive, for one machine or a selector.

    @raise InvalidRequest: it is neither, or both.
    """
    if bool(asked.machine_id) == (asked.selector is not None):
        raise InvalidRequest(
            "a deploy is for one machine or for those of a selector",
            hint="send machine_id, or selector with machines, labels or all",
        )
    if asked.selector is not None and asked.attach:
        raise InvalidRequest(
            "attach goes with one machine", hint="leave it out, and read a stream of each"
        )
    if bool(asked.script_name) == bool(asked.command):
        raise InvalidRequest(
            "a deploy is of a script or of a command",
            hint="send script_name and script_content, or command with archive",
        )
    if asked.script_name and (asked.archive or asked.requirements):
        raise InvalidRequest(
            "archive and requirements go with a command",
            hint="put the script into the archive, with a command such as python3 and its name",
        )
    if asked.script_name and (asked.tty is not None or asked.stdin == "stream"):
        raise InvalidRequest(
            "a script comes by standard input, which is at its end then",
            hint="put the script into an archive, with a command such as python3 and its name",
        )
    if asked.archive and asked.restart_policy != "never":
        raise InvalidRequest(
            "an archive is sent once, so its agent is not started again",
            hint="leave restart_policy out, or deploy a script",
        )


def stem_of(asked: Deployment) -> str:
    """What its name comes from."""
    name = asked.script_name or _program(asked.command)
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)
    stem = name.removesuffix(".py") if asked.script_name else kept.strip("-") or "command"
    return stem[:_STEM]


def _program(command: list[str]) -> str:
    """What a command is called: of Python the script or module."""
    program, *rest = (word.rpartition("/")[2] for word in command)
    if program.startswith("python") and rest:
        if rest[0].endswith(".py"):
            return rest[0].removesuffix(".py")
        if rest[0] == "-m" and len(rest) > 1:
            return rest[1]
    return program


def has_files(asked: Deployment) -> bool:
    """Something is sent to the agent after its start."""
    return bool(asked.command and (asked.archive or asked.requirements))


def _is_typed(asked: Deployment) -> bool:
    """Its standard input is somebody's: files come by another way."""
    return asked.tty is not None or asked.stdin == "stream"


def _words(asked: Deployment) -> tuple[list[str], object]:
    """What is run, and its standard input."""
    if asked.script_name:
        arguments = (*((SOCKET,) if asked.socket_argument else ()), *asked.args)
        words = ["python3", "-c", SCRIPT_RUNNER, asked.script_name, *arguments]
        return words, {"text": asked.script_content}
    typed = None if asked.tty is not None else asked.stdin
    if not has_files(asked):
        return [*asked.command, *asked.args], typed
    parts = _parts(asked)
    runner = FILE_RUNNER if _is_typed(asked) else ARCHIVE_RUNNER
    words = ["python3", "-c", runner, *(str(len(part)) for part in parts)]
    return [*words, *asked.command, *asked.args], typed if _is_typed(asked) else "stream"


def _parts(asked: Deployment) -> tuple[bytes, bytes, bytes]:
    """What is sent: the program that unpacks the rest, the archive, the requirements."""
    return _runner(), asked.archive or EMPTY_TAR, asked.requirements.encode()


def spawn_fields(asked: Deployment, labels: dict[str, str]) -> dict[str, Any]:
    """What SPAWN is asked."""
    words, stdin = _words(asked)
    return {
        "command": words,
        "stdin": stdin,
        "env": asked.env or None,
        "labels": labels or None,
        "limits": asked.limits or None,
        "network": asked.network or None,
        "permissions": msgspec.to_builtins(asked.permissions) or None,
        "restart_policy": asked.restart_policy,
        "timeout": asked.timeout,
        "attach": asked.attach or None,
        "secrets": msgspec.to_builtins(asked.secrets) or None,
        "tty": None if asked.tty is None else msgspec.to_builtins(asked.tty),
        "warm": None if asked.warm else False,
        "forget": asked.forget or None,
    }


async def send_files(clock: Any, client: KernelClient, agent_id: int, asked: Deployment) -> None:
    """Give an agent the files that it waits for; it ends if that fails.

    @raise CloveError: it was not taken.
    """
    send = _write_file if _is_typed(asked) else _send
    sending: Deferred[None] = Deferred.fromCoroutine(send(client, agent_id, asked))
    sending.addTimeout(SECONDS, clock, _late)
    try:
        await sending
    except CloveError:
        client.kill(agent_id=agent_id).addErrback(lambda _: None)
        raise


async def _send(client: KernelClient, agent_id: int, asked: Deployment) -> None:
    """By its standard input."""
    for data in _parts(asked):
        for begin in range(0, len(data), PIECE):
            await client.write_input(data[begin : begin + PIECE], agent_id=agent_id)
    await client.close_stream("stdin", agent_id=agent_id)


async def _write_file(client: KernelClient, agent_id: int, asked: Deployment) -> None:
    """As a file in its working directory, with its own rights."""
    data = b"".join(_parts(asked))
    for begin in range(0, len(data), PIECE):
        piece = base64.b64encode(data[begin : begin + PIECE]).decode()
        mode = "append" if begin else "write"
        await client.write_file(FILES, piece, mode=mode, encoding="base64", agent=agent_id)


def _late(result: object, seconds: float) -> Any:
    raise Unavailable(f"the agent has not taken its archive in {seconds:g} s", hint="try again")


EMPTY_TAR: Final = bytes(10240)


@functools.cache
def _runner() -> bytes:
    return importlib.resources.files("clove.relay.rest").joinpath("archive_runner.py").read_bytes()
