"""Runs a program in a default sandbox, or a command: JSON in on stdin, JSON out on stdout.

A program of its own, so that it can be run as an unprivileged user, with a
controlling terminal, or where user namespaces are used up.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred

import clove
from clove.errors import CloveError
from clove.sandbox.inside import capabilities, seccomp
from clove.sandbox.interface import Command, ExitStatus, ISandbox
from clove.sandbox.launcher import Launcher
from clove.sandbox.seccomp import bpf
from clove.sandbox.seccomp.syscall_numbers import NUMBERS
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec
from clove.threads.threads import Threads

OUTSIDE_UID = 231_072
reactor: Any = installed_reactor


def lack(what: str) -> None:
    """Let this process and its children live on a Linux without seccomp or Landlock."""
    numbers = NUMBERS[os.uname().machine]
    items: list[bpf.Item] = [bpf.load(0)]
    if what == "landlock":
        items += [bpf.branch_if_equal(numbers["landlock_create_ruleset"], "unknown", "allow")]
    else:
        items += [
            bpf.branch_if_equal(numbers["seccomp"], "unknown"),
            bpf.branch_if_equal(numbers["prctl"], no="allow"),
            bpf.load(16),
            bpf.branch_if_equal(seccomp.PR_SET_SECCOMP, no="allow"),
            bpf.result(0x50000 | errno.EINVAL),
        ]
    items += [bpf.Label("allow"), bpf.result(0x7FFF0000)]
    items += [bpf.Label("unknown"), bpf.result(0x50000 | errno.ENOSYS)]
    capabilities.forbid_new_privileges()
    seccomp.load(bpf.assemble(items))


def spec_for(asked: dict[str, Any], workspace: str) -> SandboxSpec:
    """The default sandbox with what the test asks for."""
    python = os.path.realpath(sys.executable)
    library = str(Path(clove.__file__).parent)
    binds = [Bind(library, "/opt/clove/clove"), Bind(workspace, "/workspace", writable=True)]
    if not sys.base_prefix.startswith("/usr"):
        prefix = os.path.realpath(sys.base_prefix)
        binds.insert(0, Bind(prefix, prefix))
    binds += [Bind(**bind) for bind in asked.get("binds", ())]
    root = os.getuid() == 0
    namespaces = frozenset(asked.get("namespaces", NAMESPACES))
    argv = (python, "-c", asked["code"], *asked.get("args", ()))
    return SandboxSpec(
        argv=("sleep", "1000") if asked.get("as_command") else argv,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/workspace",
            "LANG": "C.UTF-8",
            "PYTHONPATH": "/opt/clove",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd="/workspace" if namespaces else workspace,
        namespaces=namespaces,
        uid=asked.get("uid", OUTSIDE_UID) if root else None,
        binds=tuple(binds) if namespaces else (),
        rlimits=asked.get("rlimits", {}),
        umask=0o077,
        allow_degraded=asked.get("allow_degraded", False),
        **asked.get("spec", {}),
    )


def populate(workspace: str, asked: dict[str, Any]) -> None:
    """Put into a workspace what the test asks for: files, links, copies with set-uid bits."""
    for name, text in asked.get("files", {}).items():
        Path(workspace, name).write_text(text)
    for name, target in asked.get("links", {}).items():
        os.symlink(target, os.path.join(workspace, name))
    if os.getuid() == 0:
        os.chown(workspace, OUTSIDE_UID, OUTSIDE_UID)
    for source, name in asked.get("setuid", {}).items():
        shutil.copy(source, os.path.join(workspace, name))
        os.chmod(os.path.join(workspace, name), 0o6755)


async def end_of(
    sandbox: ISandbox, asked: dict[str, Any], output: Callable[[int, bytes], None]
) -> ExitStatus:
    """How the program ends, or the command in its sandbox."""
    if not asked.get("as_command"):
        return await sandbox.done
    argv = (os.path.realpath(sys.executable), "-c", asked["code"], *asked.get("args", ()))
    command = await sandbox.run(Command(argv), output)
    status = await command.done
    sandbox.kill()
    await sandbox.done
    return status


async def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Launch, wait, tell."""
    threads = Threads(reactor)
    threads.start()
    workspace = tempfile.mkdtemp(dir=asked.get("directory", "/tmp"), prefix="c")
    heard: dict[int, bytes] = {1: b"", 2: b""}

    def output(stream: int, data: bytes) -> None:
        heard[stream] += data

    try:
        populate(workspace, asked)
        sandbox = await Launcher(reactor, threads).launch(spec_for(asked, workspace), output)
        status = await end_of(sandbox, asked, output)
        return {
            "code": status.code,
            "signal": status.signal,
            "out": heard[1].decode(errors="replace"),
            "err": heard[2].decode(errors="replace"),
            "isolation": sandbox.isolation.to_wire(),
            "left": sorted(os.listdir(workspace)),
        }
    except CloveError as error:
        return {"error": error.fields(), "left": sorted(os.listdir(workspace))}
    finally:
        shutil.rmtree(workspace)
        threads.stop()


def main() -> None:
    """Read, run, print."""
    asked = json.load(sys.stdin)
    if asked.get("lacking"):
        lack(asked["lacking"])

    def start() -> None:
        running = Deferred.fromCoroutine(run(asked))
        running.addCallback(lambda result: print(json.dumps(result)))
        running.addErrback(lambda failure: failure.printTraceback(sys.stderr))
        running.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()


if __name__ == "__main__":
    main()
