"""Settings of the interpreter in which the kernel runs, so that its one loop waits little."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from twisted.internet.defer import Deferred

from clove.loop.collector import settle_collector

__all__ = [
    "SWITCH_SECONDS",
    "import_later",
    "package_directories",
    "settle_interpreter",
]

SWITCH_SECONDS = 0.0005
"""How long a worker thread keeps the interpreter while the reactor's thread asks for it (Python's
own is ten times as long). Each read and write of a socket gives it up."""


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
    gc.freeze()  # as L{settle_collector}


def settle_interpreter() -> None:
    """To be called once, when everything is imported that a waiting kernel needs.

    Modules that are imported later are looked for in Python's own directories and in
    L{package_directories}, which no sandboxed agent can change; not in the working directory or a checkout.
    """
    packages = package_directories()
    sys.path[:] = [path for path in sys.path if _is_pythons(path) or path in packages]
    sys.setswitchinterval(SWITCH_SECONDS)
    settle_collector()
