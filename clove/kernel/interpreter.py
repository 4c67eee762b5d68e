"""Settings of the interpreter in which the kernel runs, so that its one loop waits little."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from twisted.internet.defer import Deferred

__all__ = [
    "COLLECTED",
    "SWITCH_SECONDS",
    "import_later",
    "package_directories",
    "settle_interpreter",
]

SWITCH_SECONDS = 0.0005
"""How long a worker thread keeps the interpreter while the reactor's thread asks for it (Python's
own is ten times as long). Each read and write of a socket gives it up."""
COLLECTED: Final = (700, 10, 300)
"""New objects after which the collector of cycles goes over these; and after how many times it goes
over older ones, and over all. Few at a time, since requests that fail leave cycles, and freeing those of
5000 objects takes 7 ms, at worst 50; all of them seldom, since peers can have thousands of objects made
and kept at once: going over all that 15,000 requests in work are made of takes 150 ms, and finds next to
nothing."""


def package_directories() -> list[str]:
    """Where packages are installed that are not beneath Python's own directories (C{~/.local})."""
    return [
        path
        for path in sys.path
        if os.path.basename(path) in ("site-packages", "dist-packages") and not _is_pythons(path)
    ]


def _is_pythons(path: str) -> bool:
    prefixes = (sys.prefix, sys.base_prefix)
    return any(path.startswith(os.path.join(prefix, "")) for prefix in prefixes)


async def import_later(in_thread: Callable[..., Deferred[Any]], name: str) -> None:
    """Import a large module that is seldom needed, in a thread, so that the reactor does not wait.

    @raise ImportError, OSError: it cannot be read.
    """
    await in_thread(import_module, name)
    gc.freeze()  # as below


def settle_interpreter() -> None:
    """To be called once, when everything is imported that a waiting kernel needs.

    Modules that are imported later are looked for in Python's own directories and in
    L{package_directories}, which no sandboxed agent can change; not in the working directory or a checkout.

    What has been made until now stays, and the collector of cycles need not walk through it: a full
    collection took 60 ms of the reactor's time, most of it for modules.
    """
    packages = package_directories()
    sys.path[:] = [path for path in sys.path if _is_pythons(path) or path in packages]
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTED)
    gc.collect()
    gc.freeze()
