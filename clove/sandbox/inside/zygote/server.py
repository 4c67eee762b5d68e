"""The zygote at work: forks when the kernel asks, and knows nothing of agents.

`bootstrap.py` becomes this program by exec, with the environment that agents
have and the control socket as descriptor 3. Where L{serve} returns, the process
is an agent's main program.
"""

from __future__ import annotations

import errno
import gc
import importlib
import json
import os
import signal
import sys
import threading

from clove.sandbox.inside import capabilities, program, syscalls
from clove.sandbox.inside.confinement import perform
from clove.sandbox.inside.control import Channel
from clove.sandbox.inside.namespaces import (
    FLAGS,
    enter,
    learn_shares,
    new_session_keyring,
    own_start,
    raise_loopback,
)
from clove.sandbox.inside.zygote import process_title
from clove.sandbox.inside.zygote.child import CLONED_NAMESPACES, WarmStart
from clove.sandbox.inside.zygote.cloning import clone
from clove.sandbox.inside.zygote.heap_compaction import compact_heap
from clove.sandbox.inside.zygote.main_program import fork
from clove.sandbox.inside.zygote.roots import MOST_TREES, RootOnBase
from clove.sandbox.inside.zygote.script import Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

__all__ = ["serve"]

CONTROL = 3
NAMESPACES = sum(FLAGS[kind] for kind in CLONED_NAMESPACES)


def serve(facts: Mapping[str, Any]) -> Script:
    """Fork children until the kernel hangs up; returns in them alone, never here.

    @param facts: `outside`, the kernel's own namespaces; `preload`, modules to import;
        `warm_up`, one whose `warm_up` does what main programs often do.
    """
    channel = Channel(CONTROL)
    left_out = _preload(facts["preload"])
    problem = _fork_hazard()
    if problem:
        channel.send({"op": "failed", "step": "preload", "errno": 0, "text": problem})
        os._exit(1)
    capabilities.hide_memory()
    program.reset_signals()  # here once, and not in each child
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children need not be reaped
    warm_up = importlib.import_module(facts["warm_up"]).warm_up
    path = list(sys.path)
    process_title.learn("proc")
    sysctls = os.open("proc/sys", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    learn_shares(sysctls)
    os.close(sysctls)
    gc.collect()
    gc.freeze()  # what is shared stays shared
    compact_heap()
    channel.send({"op": "ready", "left_out": left_out})
    while True:
        try:
            received = channel.receive()
        except ConnectionError:
            received = None
        if received is None:
            os._exit(0)
        message, given = received
        if _forked(channel, message, given):
            return _become_pid1(facts["outside"], path, warm_up)


def _preload(modules: Sequence[str]) -> dict[str, str]:
    """Import modules; gives those that could not be, with the reason."""
    left_out = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            left_out[name] = f"{type(error).__name__}: {error}"
    return left_out


def _fork_hazard() -> str:
    """What would break in a fork."""
    threads = [thread.name for thread in threading.enumerate()]
    if len(threads) > 1 or len(os.listdir("proc/self/task")) > 1:
        return f"a preloaded module has started threads: {', '.join(threads[1:]) or 'unnamed'}"
    listed = [int(name) for name in os.listdir("proc/self/fd")]
    held = [number for number in listed if number > CONTROL and _is_open(number)]
    return f"a preloaded module holds descriptors: {held}" if held else ""


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _forked(channel: Channel, message: Mapping[str, Any], given: list[int]) -> bool:
    """Fork once, and say so to the kernel; true in the child, which has what was given."""
    number = message["id"]
    answer: dict[str, Any] = {"op": "forked", "id": number}
    pidfds: list[int] = []
    try:
        if len(given) != message["given"]:  # without its cgroup it would have no limits
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        control, out, err, *cgroup = given
        pid, pidfd = clone(NAMESPACES, cgroup[0] if cgroup else -1)
        if pid == 0:
            channel.detach()
            for target, descriptor in ((1, out), (2, err), (CONTROL, control)):
                os.dup2(descriptor, target)
            syscalls.close_from(CONTROL + 1)
            return True
        pidfds = [pidfd]
    except OSError as error:
        answer = {"op": "failed", "id": number, "errno": error.errno, "text": error.strerror}
    for descriptor in given:
        os.close(descriptor)
    try:
        channel.send(answer, pidfds)
    except ConnectionError:
        raise
    except OSError as error:  # a child that the kernel could not end
        for descriptor in pidfds:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        text = error.strerror
        channel.send({"op": "failed", "id": number, "errno": error.errno, "text": text})
    for descriptor in pidfds:
        os.close(descriptor)
    return False


def _become_pid1(
    outside: Mapping[str, str], path: Sequence[str], others: Callable[[], None]
) -> Script:
    """Be process 1 of a sandbox to the end; returns in its child, the main program."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # it reaps its own child
        channel = Channel(CONTROL, most_fds=MOST_TREES + 1)  # and stdin
        # While the kernel finds out what is to run here:
        enter({"cgroup"})
        new_session_keyring(filtered=True)  # else it is the zygote's own, which is empty
        root = RootOnBase()
        root.leave_root()
        main = fork(channel, path, others)
        if isinstance(main, Script):
            return main
        raise_loopback()
        own_start()
        root.begin()
        received = channel.receive(main.link)
        if received is not None:
            spec, trees = received
            perform(WarmStart(channel, spec, outside, trees, root, main), channel)
        os._exit(0)
    except BaseException:
        os._exit(1)


if __name__ == "__main__":
    del sys.path[0]  # the directory of this file
    _facts = json.loads(sys.argv[1])
    _library = os.environ["PYTHONPATH"]
    if sys.path and sys.path[0] == _library:  # the environment of each agent says it anew
        del sys.path[0]
    serve(_facts).run()
