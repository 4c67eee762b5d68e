"""What WHY answers, and what it could have changed or left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.integration.exposed import Agent, Host


def why(here: Host, agent: Agent | None, syscall: str, **arguments: Any) -> Any:
    return here.client.why(syscall, arguments, None if agent is None else agent.id)


def answer(reply: dict[str, Any]) -> tuple[bool, str, bool | None]:
    """What policy says, what happened, whether they agree."""
    attempt = reply["attempt"]
    return reply["allowed"], attempt["errno_name"] or attempt["happened"], reply["agrees"]


def state(path: Path) -> dict[str, Any]:
    """All that a visitor of these files could have changed."""
    found = {}
    for each in (path, *path.rglob("*")):
        facts = each.lstat()
        text = each.read_text() if each.is_file() else ""
        found[str(each)] = (facts.st_mtime_ns, facts.st_mode, facts.st_ino, text)
    return found


def left(here: Host) -> tuple[set[str], list[str], int]:
    """Children of the kernel, directories of agents, and how many sockets it has.

    The kernel is not dumpable, so that root alone sees its descriptors (proc(5)).
    """
    pid = here.kernel.pid
    threads = Path(f"/proc/{pid}/task").iterdir()
    children = " ".join((thread / "children").read_text() for thread in threads).split()
    agents = sorted(path.name for path in Path(here.kernel.state_dir, "agents").iterdir())
    descriptors = Path(f"/proc/{pid}/fd").iterdir() if os.getuid() == 0 else iter(())
    sockets = [path for path in descriptors if "socket:" in target(path)]
    return set(children), agents, len(sockets)


def target(path: Path) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # it was the descriptor of this listing
        return ""
