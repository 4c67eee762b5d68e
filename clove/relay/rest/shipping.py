"""How what is deployed gets into a sandbox: what SPAWN is asked, and what is written to standard input after."""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred

from clove.errors import CloveError, InvalidRequest, Unavailable
from clove.relay.kernel_client import KernelClient
from clove.relay.rest.agent_types import Deployment

__all__ = ["check_deployment", "send_archive", "spawn_fields", "stem_of"]

SCRIPT_RUNNER: Final = (
    "import runpy,sys;n=sys.argv[1];open(n,'wb').write(sys.stdin.buffer.read());"
    "sys.argv=sys.argv[1:];runpy.run_path(n,run_name='__main__')"
)
"""Runs a script that comes by standard input as the file of its name in the working directory."""
ARCHIVE_RUNNER: Final = "import sys;exec(sys.stdin.buffer.read(int(sys.argv[1])))"
"""Runs L{clove.relay.rest.archive_runner}, which comes by standard input in front of the archive."""
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
    if asked.command and asked.restart_policy != "never":
        raise InvalidRequest(
            "an archive is sent once, so its agent is not started again",
            hint="leave restart_policy out, or deploy a script",
        )


def stem_of(asked: Deployment) -> str:
    """What its name comes from."""
    name = asked.script_name or asked.command[0].rpartition("/")[2]
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)
    stem = name.removesuffix(".py") if asked.script_name else kept.strip("-") or "command"
    return stem[:_STEM]


def spawn_fields(asked: Deployment, labels: dict[str, str]) -> dict[str, Any]:
    """What SPAWN is asked."""
    if asked.command:
        runner = str(len(_runner()))
        sizes = (str(len(asked.archive or EMPTY_TAR)), str(len(asked.requirements.encode())))
        words = ["python3", "-c", ARCHIVE_RUNNER, runner, *sizes, *asked.command, *asked.args]
        stdin: object = "stream"
    else:
        words = ["python3", "-c", SCRIPT_RUNNER, asked.script_name, SOCKET, *asked.args]
        stdin = {"text": asked.script_content}
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
    }


async def send_archive(clock: Any, client: KernelClient, agent_id: int, asked: Deployment) -> None:
    """Write the archive to an agent that waits for it; it ends if that fails.

    @raise CloveError: it was not taken.
    """
    sending: Deferred[None] = Deferred.fromCoroutine(_send(client, agent_id, asked))
    sending.addTimeout(SECONDS, clock, _late)
    try:
        await sending
    except CloveError:
        client.kill(agent_id=agent_id).addErrback(lambda _: None)
        raise


async def _send(client: KernelClient, agent_id: int, asked: Deployment) -> None:
    for data in (_runner(), asked.archive or EMPTY_TAR, asked.requirements.encode()):
        for begin in range(0, len(data), PIECE):
            await client.write_input(data[begin : begin + PIECE], agent_id=agent_id)
    await client.close_stream("stdin", agent_id=agent_id)


def _late(result: object, seconds: float) -> Any:
    raise Unavailable(f"the agent has not taken its archive in {seconds:g} s", hint="try again")


EMPTY_TAR: Final = bytes(10240)


@functools.cache
def _runner() -> bytes:
    return importlib.resources.files("clove.relay.rest").joinpath("archive_runner.py").read_bytes()
