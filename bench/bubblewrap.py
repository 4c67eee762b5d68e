"""Bubblewrap's command line for the sandbox that the kernel would make.

The same namespaces, the same binds, links and made-up files, by the kernel's own
plan; the main socket of the kernel instead of an agent's own. What bubblewrap
does less is to its advantage: no masks over /proc, no filter, no Landlock, no
limits, no niceness, no user of its own on the host, nobody who takes output and
orders.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import clove
from bench.servers import Unavailable
from clove.kernel.agents.interpreter import own_interpreter
from clove.kernel.agents.plan import Host, plan, settle_limits
from clove.kernel.agents.settings import AgentLimits
from clove.messages.agents import SpawnRequest
from clove.sandbox.layout import with_system
from clove.sandbox.namespaces import INSIDE_ID
from clove.sandbox.spec import SandboxSpec

__all__ = ["command_line"]

UNSHARED = ("user", "ipc", "pid", "net", "uts", "cgroup")
"""Beside the mount namespace, which it always makes."""


def command_line(place: Path, script: Path, socket: str) -> list[str]:
    """What to run; the script's arguments are to be added.

    @param place: a directory for the workspace and the made-up files.
    @param socket: bound inside, at the place where agents find theirs.
    @raise Unavailable: bubblewrap is not installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise Unavailable("bubblewrap is not installed (apt-get install bubblewrap)")
    home = place / "workspace"
    home.mkdir(parents=True, exist_ok=True)
    bounds = AgentLimits()
    host = Host(os.path.dirname(clove.__file__), frozenset(), False, {}, "/")
    request = SpawnRequest(name="bench", script=str(script))
    spec = plan(
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
    return _words(program, with_system(spec), place)


def _words(program: str, spec: SandboxSpec, place: Path) -> list[str]:
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
        made = place / path.strip("/").replace("/", "-")
        made.write_text(text)
        words += ["--ro-bind", str(made), path]
    words += ["--remount-ro", "/", "--chdir", spec.cwd, "--"]
    return [*words, *spec.argv[:3]]


if __name__ == "__main__":
    print(*command_line(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
