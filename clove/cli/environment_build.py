"""Building a virtual environment in a sandbox of its own, which reaches the package index and nothing else."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from clove.cli.console import Console
from clove.cli.foreground import Foreground
from clove.cli.package_indexes import without_passwords
from clove.cli.sealing import seal
from clove.cli.sinks import sink_of
from clove.errors import AlreadyExists, CloveError, Unavailable
from clove.removal import remove_tree

if TYPE_CHECKING:
    from clove.cli.environment_cache import Entry, EnvironmentCache
    from clove.cli.requirements import Requirements
    from clove.cli.run_options import RunIndexes
    from clove.client.blocking import CloveClient

__all__ = ["Build", "BuildFailed", "build_environment"]

PARTS: Final = ".clove"
"""What of an environment is there for its build: the requirements, and room for temporary files."""
LABEL: Final = "requirements"
SECONDS: Final = 3600.0
"""When a build is given up."""
MEMORY: Final = 4 << 30
PROCESSES: Final = 1024
FOR_ALL: Final = 0o777
INSTALL: Final = """
"$1" -I -m venv "$2" || exit
python=$2/bin/python parts=$3
shift 3
exec "$python" -I -m pip install --no-input --no-warn-script-location "$@"
"""


class BuildFailed(CloveError):
    """It ended with an exit code of its own, after saying why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the build ended with {code}")
        self.exit_code = code


class Build(NamedTuple):
    """What is to be built.

    @ivar python: the interpreter, without links.
    @ivar identity: what of it is written down.
    """

    key: str
    requirements: Requirements
    python: str
    identity: list[Any]
    indexes: RunIndexes


def build_environment(
    console: Console, client: CloveClient, cache: EnvironmentCache, build: Build
) -> Entry:
    """Build one, and show what the build says on stderr. The lock of its key is held.

    @raise BuildFailed: the build did not succeed.
    @raise CloveError: it could not be started, or left what is no environment.
    """
    began = time.time()
    path = cache.begin(build.key)
    try:
        _lay_out(path, build.requirements)
        code = _run(Console(console.socket, as_json=False), client, path, build)
        if code:
            raise BuildFailed(code)
        _drop(os.path.join(path, PARTS))
        contents = seal(path, build.python)
        record = {
            "requirements": [os.path.abspath(name) for name in build.requirements.names],
            "python": build.identity,
            "created": began,
            "seconds": round(time.time() - began, 1),
            **contents._asdict(),
        }
        return cache.complete(build.key, path, record)
    except OSError as error:
        _drop(path)
        raise Unavailable(f"environment {path}: {error.strerror}") from None
    except BaseException:
        _drop(path)
        raise


def _drop(path: str) -> None:
    with contextlib.suppress(OSError):  # what stays is found by `clove cache prune`
        remove_tree(path)


def _lay_out(path: str, requirements: Requirements) -> None:
    """Put what the build reads into its directory.

    Agents of root's kernel have users of their own, who are strangers where a file system maps no owners; what
    is above the directory is closed to all others.
    """
    parts = os.path.join(path, PARTS)
    os.makedirs(os.path.join(parts, "tmp"))
    for number, text in enumerate(requirements.texts):
        with open(os.path.join(parts, f"{number}.txt"), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, 0o644)
    if os.geteuid() == 0:
        for each in (path, parts, os.path.join(parts, "tmp")):
            os.chmod(each, FOR_ALL)


def _run(console: Console, client: CloveClient, path: str, build: Build) -> int:
    """Run it in the foreground; gives its exit code."""
    parts = os.path.join(path, PARTS)
    files = [word for each in build.requirements.first for word in ("-r", f"{parts}/{each}.txt")]
    env = {**build.indexes.env, "TMPDIR": os.path.join(parts, "tmp"), "PIP_NO_CACHE_DIR": "1"}
    secret = {name for name, value in env.items() if value != without_passwords(value)}
    cpus = max(1, os.cpu_count() or 1) * 100_000
    fields: dict[str, Any] = {
        "command": ["/bin/sh", "-c", INSTALL, "sh", build.python, path, parts, *files],
        "cwd": path,
        "env": {name: value for name, value in env.items() if name not in secret}
        | ({"PIP_CONSTRAINT": ""} if "PIP_CONSTRAINT" in env else {}),
        "secrets": {name: {"value": env[name]} for name in secret},
        "python": build.python,
        "mounts": [
            {"path": path, "writable": True},
            *(grant.mount for grant in build.indexes.grants),
        ],
        "network": bool(build.indexes.domains),
        "permissions": {"level": "standard", "allowed_domains": list(build.indexes.domains)},
        "limits": {
            "memory": MEMORY,
            "max_pids": PROCESSES,
            "cpu_quota": cpus,
            "cpu_period": 100_000,
        },
        "degrade": ["limits"],
        "labels": {LABEL: build.key},
        "timeout": SECONDS,
        "attach": True,
    }
    reply = _spawn(client, f"{LABEL}-{build.key[:12]}", fields)
    both = sink_of(sys.stderr)
    shown = Foreground(
        console, client, reply["agent_id"], restarts=False, into={"stdout": both, "stderr": both}
    )
    code = shown.attend()
    with contextlib.suppress(CloveError):
        client.prune(agent_id=reply["agent_id"])
    return code


def _spawn(client: CloveClient, name: str, fields: dict[str, Any]) -> Any:
    """Start it. One that an interrupted build has left is ended: what it builds has no record any more."""
    try:
        return client.spawn(name, **fields)
    except AlreadyExists:
        if client.inspect(name)["agent"].get("labels", {}).get(LABEL) != fields["labels"][LABEL]:
            raise
        client.kill(name)
        return client.spawn(name, **fields)
