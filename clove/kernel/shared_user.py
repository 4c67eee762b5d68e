"""What agents share because Linux counts it for a user, and what holds it on this host.

For `clove doctor`; docs/limits.md ("What one user shares") has the whole table. Under a
root kernel each agent is a user of its own.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clove.kernel.descriptors import WANTED, agents_within
from clove.kernel.launch.limits import AgentLimits
from clove.sandbox.inside.namespaces import HOST_LIMITS, SHARES
from clove.sandbox.probe import Feature

__all__ = ["Facts", "look", "shared_by_agents"]

BE_ROOT = "start the kernel as root, which runs each agent as a user of its own"
BY_NAMESPACE = (5, 14)
"""The Linux that counts signals, queues, locked memory and processes for a user namespace too."""
OWN = "each agent is a user of its own"


@dataclass(frozen=True, slots=True)
class Facts:
    """This host, for this user.

    @ivar descriptors: hard limit of open files; -1: none.
    @ivar core: hard limit of core files; -1: none.
    @ivar instances, watches: of inotify, for a user; 0: unknown.
    @ivar epoll: what epoll may watch for a user; 0: unknown.
    @ivar pipes_soft, pipes_hard: pages of pipes for a user; 0: no limit.
    @ivar linux: its release.
    """

    root: bool
    descriptors: int
    core: int
    core_pattern: str
    instances: int
    watches: int
    epoll: int
    pipes_soft: int
    pipes_hard: int
    linux: str


def look() -> Facts:
    """Read it. Blocking, for a moment."""
    return Facts(
        root=os.geteuid() == 0,
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        core=resource.getrlimit(resource.RLIMIT_CORE)[1],
        core_pattern=_text("sys/kernel/core_pattern"),
        instances=_number("sys/" + HOST_LIMITS["max_inotify_instances"]),
        watches=_number("sys/" + HOST_LIMITS["max_inotify_watches"]),
        epoll=_number("sys/fs/epoll/max_user_watches"),
        pipes_soft=_number("sys/fs/pipe-user-pages-soft"),
        pipes_hard=_number("sys/fs/pipe-user-pages-hard"),
        linux=os.uname().release,
    )


def shared_by_agents(facts: Facts, bounds: AgentLimits) -> Iterator[Feature]:
    """A feature for each; not available: nothing holds it, and one agent can take all. Pure."""
    yield _cores(facts)
    for name, judge in _SHARED.items():
        if facts.root:
            yield Feature(f"shared.{name}", True, OWN)
        else:
            yield Feature(f"shared.{name}", *judge(facts, bounds))


Verdict = tuple[bool, str, str]


def _cores(facts: Facts) -> Feature:
    piped = facts.core_pattern[:1] in ("|", "@")
    if not piped:
        return Feature("cores", True, "no crash of an agent leaves a core")
    if facts.core_pattern[:1] == "@":
        held, detail = False, "the crash of an agent sends a core to a socket of the host's"
    else:
        held = facts.root or facts.core != 0
        detail = (
            "no crash of an agent runs the host's handler"
            if held
            else "the crash of an agent runs the host's handler, as root: the limit of cores is 0"
        )
    remedy = "start the kernel with a hard limit of cores of 1 or more (LimitCORE=, ulimit -Hc), "
    return Feature(
        "cores", held, detail, "" if held else remedy + "or set kernel.core_pattern=core"
    )


def _descriptors(facts: Facts, bounds: AgentLimits) -> Verdict:
    own = facts.descriptors if facts.descriptors >= 0 else WANTED
    agents = agents_within(bounds, own).descriptors
    detail = (
        f"agents stop at {agents} on their way in sockets, all together; "
        f"the kernel and each sandbox's init at {min(own, WANTED)}"
    )
    if agents == bounds.descriptors:
        return True, detail, ""
    return True, detail, "raise the hard limit of open files (LimitNOFILE=, ulimit -Hn)"


def _inotify(facts: Facts, bounds: AgentLimits) -> Verdict:
    instances = min(bounds.inotify_instances, max(1, facts.instances // SHARES))
    watches = min(bounds.inotify_watches, max(1, facts.watches // SHARES))
    detail = (
        f"an agent has {instances} of {facts.instances} instances, "
        f"{watches} of {facts.watches} watches"
    )
    return True, detail, ""


def _epoll(facts: Facts, bounds: AgentLimits) -> Verdict:
    detail = (
        f"one agent can take all {facts.epoll} watches, others then have none; "
        "the kernel goes on without"
    )
    return False, detail, f"{BE_ROOT}, or raise fs.epoll.max_user_watches"


def _pipes(facts: Facts, bounds: AgentLimits) -> Verdict:
    if facts.pipes_hard:
        detail = f"past {facts.pipes_hard} pages of pipes neither agents nor the kernel get one"
        return False, detail, f"{BE_ROOT}, or set fs.pipe-user-pages-hard=0"
    return True, f"past {facts.pipes_soft} pages new pipes are small; nothing fails", ""


def _signals(facts: Facts, bounds: AgentLimits) -> Verdict:
    held = tuple(map(int, re.findall(r"\d+", facts.linux)[:2])) >= BY_NAMESPACE
    if held:
        return True, "signals, queues and processes are counted for each agent", ""
    detail = f"Linux {facts.linux} counts signals, queues and processes for all agents together"
    return False, detail, f"{BE_ROOT}, or boot Linux 5.14 or newer"


_SHARED: dict[str, Callable[[Facts, AgentLimits], Verdict]] = {
    "descriptors": _descriptors,
    "inotify": _inotify,
    "epoll": _epoll,
    "pipes": _pipes,
    "signals": _signals,
}


def _text(path: str) -> str:
    try:
        with open(f"/proc/{path}", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""


def _number(path: str) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0
