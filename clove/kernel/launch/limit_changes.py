"""New limits for an agent that runs: what binds at once, and what from its next start on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.errors import InvalidRequest
from clove.kernel.launch.resource_limits import CONTROLLERS, DISK
from clove.sandbox.cgroup.agent_cgroup import get

if TYPE_CHECKING:
    from clove.kernel.launch.allocation import Allocation
    from clove.kernel.launch.disk_limit import DiskLimit
    from clove.kernel.launch.resource_limits import ResourceLimits

__all__ = ["apply_now"]


async def apply_now(
    allocation: Allocation, disk: DiskLimit, limits: ResourceLimits
) -> frozenset[str]:
    """Give an agent's cgroup, if it has one, and what the kernel looks after their new limits.

    @return: the fields of C{limits.named} that bind its processes from now on. The others are
        limits of each process (setrlimit(2)) or sizes of mounts: those of the next start.
    @raise InvalidRequest: it uses more memory already; below that, Linux would kill it.
    @raise CloveError: the cgroup cannot be changed.
    """
    await disk.change(limits.disk)
    seen, memory = {DISK}, allocation.memory
    if memory is not None and memory.watching:
        memory.most = limits.memory
        seen.add("memory")
    held = frozenset(seen & limits.named)
    cgroup = allocation.cgroup
    if cgroup is None or not limits.named & CONTROLLERS.keys():
        return held
    if "memory" in limits.named:
        used = await allocation.threads.run(get, f"{cgroup.path}/memory.current")
        if used.strip().isdigit() and int(used) > limits.memory:
            raise InvalidRequest(
                f"it uses {int(used)} bytes of memory now, more than {limits.memory}: Linux would "
                "kill all of its processes",
                hint="ask for more, or end it and start it with less",
            )
    await allocation.make_cgroup(limits, cgroup)
    bound = allocation.cgroup.applied if allocation.cgroup is not None else frozenset()
    return held | frozenset(
        field for field in limits.named if field in CONTROLLERS and CONTROLLERS[field] in bound
    )
