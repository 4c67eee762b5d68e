"""The filters of a kernel that may have no sandbox: what makes them is imported for the first."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clove.threads.threads import Threads

__all__ = ["encoded_filters", "load_filters"]

_MODULE: Final = "clove.sandbox.seccomp.filters"
"""With what it imports 6 modules, 0.2 MB, 5 ms."""


async def load_filters(threads: Threads) -> None:
    """Import it in a thread, so that the reactor does not wait for that; also where another thread is about to."""
    if not hasattr(sys.modules.get(_MODULE), "encoded"):  # the last that it defines
        await threads.run(import_module, _MODULE)


def encoded_filters(machine: str, *, memfd: bool, netlink: bool) -> Mapping[str, str]:
    """As L{clove.sandbox.seccomp.filters.encoded}."""
    from clove.sandbox.seccomp.filters import encoded

    return encoded(machine, memfd=memfd, netlink=netlink)
