"""Which environments running agents are in, asked of the kernels that had agents in them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from clove.errors import CloveError, NotFound

__all__ = ["in_use"]


def in_use(path: str, kernels: list[str]) -> bool:
    """Is an agent in this environment? A kernel that is there and does not say counts as one that has some.

    @param kernels: their sockets.
    """
    return any(_has_agents(one, path) for one in kernels if _listens(one))


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True


def _has_agents(kernel: str, path: str) -> bool:
    from clove.client.blocking import CloveClient

    try:
        with CloveClient(kernel) as client:
            for agent in client.list_agents():
                try:
                    if _is_in(client.inspect(agent_id=agent["id"]), path):
                        return True
                except NotFound:  # it has ended meanwhile
                    continue
    except CloveError:
        return True
    return False


def _is_in(agent: Mapping[str, Any], path: str) -> bool:
    """Its interpreter is that of the environment, or it has the directory itself, to build it."""
    used = [agent.get("python") or "", *(mount["path"] for mount in agent.get("mounts") or ())]
    return any(one == path or one.startswith(path + os.sep) for one in used)
