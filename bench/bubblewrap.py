"""Bubblewrap's command line for the sandbox that the kernel would make.

It has the same namespaces, binds, links and generated files, taken from the kernel's own
plan, but the kernel's main socket instead of one for the agent. Bubblewrap does less, which
is to its advantage: no masks over /proc, no filter, no Landlock, no
limits, no niceness, no user of its own on the host, no process that relays output and
control requests.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import clove
from bench.servers import Unavailable
from clove.kernel.launch.agent_spec import Host, agent_spec
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.resource_limits import settle_limits
from clove.kernel.mounts.interpreter import own_interpreter
from clove.messages.agents import SpawnRequest
from clove.sandbox.inside.namespaces import INSIDE_ID
from clove.sandbox.layout import with_system
from clove.sandbox.spec import SandboxSpec

__all__ = ["command_line"]

UNSHARED = ("user", "ipc", "pid", "net", "uts", "cgroup")
"""Beside the mount namespace, which it always makes."""


def command_line(directory: Path, script: Path, socket: str) -> list[str]:
    """What to run; the script's arguments are to be added.

    @param directory: a directory for the workspace and the generated files.
    @param socket: bound inside, at the path where agents find theirs.
    @raise Unavailable: bubblewrap is not installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise Unavailable("bubblewrap is not installed (apt-get install bubblewrap)")
    home = directory / "workspace"
    home.mkdir(parents=True, exist_ok=True)
    bounds = AgentLimits()
    host = Host(os.path.dirname(clove.__file__), frozenset(), False, {}, "/")
    request = SpawnRequest(name="bench", script=str(script))
    spec = agent_spec(
        request,
        0,
        host=host,
        limits=settle_limits(None, bounds),
        bounds=bounds,
        interpreter=own_interpreter(),
        script=str(script),
        script_copy=str(script),
        home=str(home),
        socket=socket,
        cgroup_procs=None,
    )
    return _words(program, with_system(spec), directory)


def _words(program: str, spec: SandboxSpec, directory: Path) -> list[str]:
    words = [program, *(f"--unshare-{kind}" for kind in UNSHARED)]
    words += ["--uid", str(INSIDE_ID), "--gid", str(INSIDE_ID), "--hostname", spec.hostname]
    words += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    for name, text in spec.env.items():
        words += ["--setenv", name, text]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for path, size in spec.tmpfs.items():
        words += ["--size", str(size), "--tmpfs", path]
    for bind in spec.binds:
        option = "--bind" if bind.writable else "--ro-bind"
        words += [f"{option}-try" if bind.optional else option, bind.source, bind.target]
    for path, text in spec.links.items():
        words += ["--symlink", text, path]
    for path, text in spec.files.items():
        made = directory / path.strip("/").replace("/", "-")
        made.write_text(text)
        words += ["--ro-bind", str(made), path]
    words += ["--remount-ro", "/", "--chdir", spec.cwd, "--"]
    return [*words, *spec.argv[:3]]


if __name__ == "__main__":
    print(*command_line(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
