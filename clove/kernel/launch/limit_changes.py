"""New limits for an agent that runs: what binds at once, and what from its next start on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.errors import InvalidRequest
from clove.kernel.launch.resource_limits import CONTROLLERS, DISK
from clove.sandbox.cgroup.agent_cgroup import get

if TYPE_CHECKING:
    from clove.kernel.launch.allocation import Allocation
    from clove.kernel.launch.memory_limit import MemoryLimit
    from clove.kernel.launch.resource_limits import ResourceLimits

__all__ = ["apply_now"]


async def apply_now(allocation: Allocation, limits: ResourceLimits) -> frozenset[str]:
    """Give an agent's cgroup, if it has one, and what the kernel looks after their new limits.

    @return: the fields of C{limits.named} that bind its processes from now on. The others are
        limits of each process (setrlimit(2)) or sizes of mounts: those of the next start.
    @raise InvalidRequest: it uses more memory already; below that it would be killed.
    @raise CloveError: the cgroup cannot be changed.
    """
    memory, cgroup = allocation.memory, allocation.cgroup
    if memory is not None and not memory.watching:
        memory = None
    if "memory" in limits.named:  # the first: what is refused changes nothing
        _check_used(await _memory_used(allocation, memory, limits.memory), limits.memory)
    await allocation.change_disk(limits.disk)
    seen = {DISK}
    if memory is not None:
        memory.most = limits.memory
        seen.add("memory")
    held = frozenset(seen & limits.named)
    if cgroup is None or not limits.named & CONTROLLERS.keys():
        return held
    await allocation.make_cgroup(limits, cgroup)
    bound = allocation.cgroup.applied if allocation.cgroup is not None else frozenset()
    return held | frozenset(
        field for field in limits.named if field in CONTROLLERS and CONTROLLERS[field] in bound
    )


async def _memory_used(allocation: Allocation, watched: MemoryLimit | None, most: int) -> int:
    """Bytes that its processes have now, as what holds them counts; 0 if nothing does."""
    if watched is not None:
        return await watched.used(most)
    if allocation.cgroup is None:
        return 0
    said = await allocation.threads.run(get, f"{allocation.cgroup.path}/memory.current")
    return int(said) if said.strip().isdigit() else 0


def _check_used(used: int, most: int) -> None:
    """@raise InvalidRequest: it would be ended at once."""
    if used > most > 0:
        raise InvalidRequest(
            f"it uses {used} bytes of memory now, more than {most}: that would kill all of its processes",
            hint="ask for more, or end it and start it with less",
        )
