"""Run as a process: has imported what a daemon needs, and forks daemons on request (L{tests.daemons}).

Arguments: a socket's descriptor, and the daemon. A request is one packet of JSON; a start's has the
descriptors of its standard streams with it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module
from typing import Any

MOST = 1 << 18
"""Bytes of a request: argument list and environment."""


def import_kernel() -> None:
    """What `twistd clove-kernel` imports until it serves, without the reactor itself."""
    from clove.kernel import plain_reactor

    for name in plain_reactor.TLS:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it raises ImportError
    import_module("twisted.internet.epollreactor")  # which makes none yet
    for name in plain_reactor.TLS:
        del sys.modules[name]
    import clove.kernel.config
    import clove.kernel.interpreter
    import clove.kernel.service  # noqa: F401


def import_relay() -> None:
    """The same of `twistd clove-relay`."""
    import clove.relay.config
    import clove.relay.service  # noqa: F401


IMPORTS = {"clove-kernel": import_kernel, "clove-relay": import_relay}


def forget_reactor() -> None:
    """Klein imports the reactor, for its C{run}; but each daemon has its own, with descriptors of its own."""
    reactor = sys.modules.pop("twisted.internet.reactor", None)
    if reactor is not None:
        del sys.modules["twisted.internet"].reactor
        for reader in tuple(reactor._internalReaders):
            reactor.removeReader(reader)
            reader.connectionLost(None)
        reactor._poller.close()


def forget_answers() -> None:
    """What functions remember, the user's home among it, is this process's and not the daemon's."""
    modules = [module for name, module in sys.modules.items() if name.startswith("clove.")]
    for value in [value for module in modules for value in vars(module).values()]:
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def become(asked: dict[str, Any], streams: list[int]) -> None:
    """In the child: have the arguments, environment, directory and streams of the daemon."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(streams) + 1)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    sys.argv[:] = asked["words"]
    forget_answers()
    with open("/proc/self/comm", "w") as name:
        name.write("twistd")


def serve(requests: socket.socket) -> bool:
    """Fork and wait until the other end closes; gives whether this is a child, to be a daemon.

    Daemons that the tests have not ended by then, because they were interrupted, end as well.
    """
    running: set[int] = set()
    while True:
        data, streams, _, _ = socket.recv_fds(requests, MOST, 3)
        if not data:
            for pid in running:
                os.kill(pid, signal.SIGTERM)
            return False
        asked = json.loads(data)
        if "wait" in asked:
            pid, status = os.waitpid(asked["wait"], 0)
            running.discard(pid)
            requests.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if not pid:
            requests.close()
            become(asked, streams)
            return True
        running.add(pid)
        for stream in streams:
            os.close(stream)
        requests.send(json.dumps(pid).encode())


def main() -> None:
    """Import, then serve."""
    from twisted.scripts import _twistd_unix, twistd  # noqa: F401

    IMPORTS[sys.argv[2]]()
    forget_reactor()
    gc.collect()
    gc.freeze()
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        gc.unfreeze()
        twistd.run()


if __name__ == "__main__":
    main()
