"""Bounds and defaults for agents."""

from __future__ import annotations

import msgspec

__all__ = ["AgentLimits"]


class AgentLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for all agents, and the limits that each gets by default."""

    max_agents: int = 1024
    """Live agents, and those whose directories are not removed yet; one more SPAWN gets
    `limit_exceeded`."""
    max_depth: int = 16
    """Ancestors of an agent, whether they live or not, the connection that spawned the first of
    them included; a SPAWN that would make more gets `limit_exceeded`."""
    spawns_at_once: int = 4
    """Spawns and restarts carried out at the same time; the others wait their turn, which
    families take one after the other."""
    spawns_waiting: int = 256
    """Spawns of one family, or of operators, that wait; one more gets `limit_exceeded`."""
    ended: int = 1000
    """Ended agents that LIST, INSPECT, WAIT and LOGS still know; the oldest are forgotten."""
    ended_output: int = 64 << 20
    """Bytes of memory for the output of all ended agents together; past it the lines of the
    oldest go first and count as `lost`. The log files stay as long as `limits.logs` lets them."""
    script: int = 8 << 20
    """Bytes of a script."""
    args: int = 256
    """Arguments of a script."""
    args_bytes: int = 128 << 10
    """Bytes of arguments and environment together."""
    grace: float = 5.0
    """Seconds between SIGTERM and SIGKILL on KILL."""
    ends_at_once: int = 4
    """Agents told to end at the same time; the others wait for their turn, so that the kernel
    goes on answering while hundreds end."""
    end_turn: float = 0.02
    """Seconds after which an agent that has been told to end holds up the others no longer."""
    uid_base: int = 0x70000000
    """A root kernel runs each sandboxed agent under a user id of its own from uid_base to uid_base
    + 65535, as a rule uid_base + id % 65536; it is leased until the agent's processes and directories
    are gone, and with none free SPAWN gets `limit_exceeded`."""
    memory: int = 256 << 20
    """Bytes of memory of an agent, unless its SPAWN says otherwise."""
    max_pids: int = 64
    """Processes and threads of an agent."""
    cpu_quota: int = 100_000
    """Microseconds of CPU per period."""
    cpu_period: int = 100_000
    """Microseconds."""
    cpu_shares: int = 1024
    """Weight against other agents; 1024 is one share."""
    descriptors: int = 1024
    """Open files of each of an agent's processes (RLIMIT_NOFILE), and descriptors that all agents
    of one user may have on their way in Unix sockets: then sendmsg fails with ETOOMANYREFS. Less
    where the kernel's process may not have twice as many."""
    pending_signals: int = 1024
    """Signals that wait and timers (timer_create) of a sandboxed agent (RLIMIT_SIGPENDING); one
    more is refused with EAGAIN."""
    message_queues: int = 102_400
    """Bytes of POSIX message queues of a sandboxed agent (RLIMIT_MSGQUEUE), enough for one of the
    usual size; more: EMFILE."""
    locked_memory: int = 1 << 20
    """Bytes of memory that each process of a sandboxed agent may lock (RLIMIT_MEMLOCK); more:
    ENOMEM."""
    inotify_instances: int = 16
    """inotify instances of a sandboxed agent, an eighth of what the host gives a user at most; one
    more: EMFILE."""
    inotify_watches: int = 16_384
    """inotify watches of a sandboxed agent, likewise; one more: ENOSPC."""
    exposed_mounts: int = 256
    """Mounts that an agent's allowed and blocked paths and its blocked commands may need; more:
    the spawn is refused."""
    exposed_entries: int = 50_000
    """Directory entries looked at to find what wildcards in its paths mean; more: it is refused."""
    owned_entries: int = 200_000
    """Directory entries looked at for set-id files in what a root kernel mounts for writing with
    its owner; more: it is mounted without (docs/owners.md)."""
    disk_interval: float = 2.0
    """Seconds between two counts of a workspace whose limit (`disk`) no quota holds, at least; then
    20 times as long as the count took, pauses left out."""
    disk_walks: int = 4
    """Such counts at once; more wait their turn."""
    memory_interval: float = 1.0
    """Seconds between two looks at the memory of an agent that may go without a cgroup (`degrade`), at least;
    20 times as long as a look took."""
    nice: int = 5
    """Niceness of agents, so that the kernel answers while they compute."""
    processors: int = 4
    """Processors that an agent's programs run on, or more if its `cpu_quota` has more; 0: all of the
    host's."""
