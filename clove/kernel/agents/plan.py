"""From a SPAWN request to the description of a sandbox. Pure."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass

from clove.errors import InvalidRequest, IsolationUnavailable, LimitExceeded
from clove.kernel.agents.interpreter import Interpreter
from clove.kernel.agents.settings import AgentLimits
from clove.messages.agents import LimitsRequest, SpawnRequest
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec

__all__ = [
    "Host",
    "Limits",
    "check_request",
    "common_spec",
    "environment",
    "own_binds",
    "own_uid",
    "plan",
    "settle_limits",
]

SOCKET_INSIDE = "/tmp/clove.sock"  # noqa: S108 the contract's path, private inside a sandbox
LIBRARY_INSIDE = "/opt/clove"
HOSTNAME = "clove"
ALL = frozenset(NAMESPACES)


@dataclass(frozen=True, slots=True)
class Host:
    """What this kernel's host gives every plan.

    @ivar library: directory of the `clove` package.
    @ivar controllers: cgroup v2 controllers at hand.
    @ivar root: the kernel runs as root.
    @ivar environ: environment of the kernel without its secrets.
    @ivar cwd: the kernel's working directory.
    """

    library: str
    controllers: frozenset[str]
    root: bool
    environ: Mapping[str, str]
    cwd: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits with the defaults filled in.

    @ivar named: fields that the caller named.
    @ivar cut: fields whose default was more than the parent has, which they are now.
    """

    memory: int
    max_pids: int
    cpu_quota: int
    cpu_period: int
    cpu_shares: int
    named: frozenset[str]
    cut: frozenset[str] = frozenset()


_CONTROLLER = {
    "memory": "memory",
    "max_pids": "pids",
    "cpu_quota": "cpu",
    "cpu_period": "cpu",
    "cpu_shares": "cpu",
}


def settle_limits(request: LimitsRequest | None, defaults: AgentLimits) -> Limits:
    """Fill in the defaults."""
    values: dict[str, int] = {}
    named = set()
    for field in _CONTROLLER:
        asked = getattr(request, field, None) if request is not None else None
        if asked is not None:
            named.add(field)
        values[field] = getattr(defaults, field) if asked is None else asked
    return Limits(**values, named=frozenset(named), cut=frozenset())


def check_request(request: SpawnRequest, host: Host, limits: Limits, bounds: AgentLimits) -> None:
    """Refuse what is wrong in itself or cannot be enforced here.

    @raise InvalidRequest: arguments or environment that no program can be given.
    @raise LimitExceeded: too many or too long arguments.
    @raise IsolationUnavailable: a limit or a network namespace asked for by
        name cannot be had, and the caller did not allow less.
    """
    args, env = request.args or [], request.env or {}
    if len(args) > bounds.args or len(env) > bounds.args:
        raise LimitExceeded(f"at most {bounds.args} arguments and environment variables")
    words = [*args, *env, *env.values()]
    if sum(map(len, words)) > bounds.args_bytes:
        raise LimitExceeded(f"arguments and environment have at most {bounds.args_bytes} bytes")
    if any("\0" in word for word in words) or any(not key or "=" in key for key in env):
        raise InvalidRequest("an argument or environment variable has a NUL, or a name is bad")
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise InvalidRequest("an argument or environment variable is not valid Unicode") from None
    if request.allow_degraded:
        return
    missing = sorted({_CONTROLLER[name] for name in limits.named} - host.controllers)
    if missing:
        raise IsolationUnavailable(
            f"the limits asked for need the cgroup v2 controller {', '.join(missing)}, "
            "which this kernel does not have",
            hint="run the kernel as a systemd service with Delegate=yes (clove doctor says "
            "more), leave the limits out, or set allow_degraded",
        )
    if request.network is False and not request.sandboxed:
        raise IsolationUnavailable(
            "network=false needs a network namespace, which an unsandboxed agent does not have",
            hint="set sandboxed=true, or leave network out",
        )


def environment(request: SpawnRequest, agent_id: int, socket: str, host: Host) -> dict[str, str]:
    """The environment of an agent's main process; the kernel's own words win."""
    if request.sandboxed:
        base = _inside(host)
        library = LIBRARY_INSIDE
    else:
        base = {**host.environ, "PYTHONUNBUFFERED": "1"}
        library = host.library.removesuffix("/clove")
    base.update(request.env or {})
    earlier = base.get("PYTHONPATH")
    base["PYTHONPATH"] = f"{earlier}:{library}" if earlier else library
    base["CLOVE_SOCKET"] = SOCKET_INSIDE if request.sandboxed else socket
    base["CLOVE_AGENT_ID"] = str(agent_id)
    return base


def _inside(host: Host) -> dict[str, str]:
    """What every sandbox's environment begins with."""
    base = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/workspace",
        "LANG": host.environ.get("LANG", "C.UTF-8"),
        "TMPDIR": "/tmp",  # noqa: S108 private inside a sandbox
        "USER": "agent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if "TZ" in host.environ:
        base["TZ"] = host.environ["TZ"]
    return base


def common_spec(host: Host, interpreter: Interpreter) -> SandboxSpec:
    """What all sandboxed agents under one interpreter have in common."""
    return SandboxSpec(
        argv=(interpreter.program,),
        env={**_inside(host), "PYTHONPATH": LIBRARY_INSIDE},
        namespaces=ALL,
        hostname=HOSTNAME,
        binds=_common_binds(host, interpreter),
    )


def _common_binds(host: Host, interpreter: Interpreter) -> tuple[Bind, ...]:
    return (*interpreter.binds, Bind(host.library, f"{LIBRARY_INSIDE}/clove"))


def own_binds(script_copy: str, home: str, socket: str) -> tuple[Bind, ...]:
    """What of the host is a sandboxed agent's own; see L{plan}."""
    return (
        Bind(os.path.dirname(script_copy), "/app"),
        Bind(home, "/workspace", writable=True),
        Bind(socket, SOCKET_INSIDE, writable=True),
    )


def own_uid(agent_id: int, host: Host, bounds: AgentLimits) -> int | None:
    """The user id that a sandboxed agent of a root kernel runs under; None: the kernel's own."""
    return bounds.uid_base + agent_id % 65536 if host.root else None


def plan(
    request: SpawnRequest,
    agent_id: int,
    *,
    host: Host,
    limits: Limits,
    bounds: AgentLimits,
    interpreter: Interpreter,
    script: str,
    script_copy: str,
    home: str,
    socket: str,
    cgroup_procs: str | None,
    egress: tuple[int, ...] = (),
) -> SandboxSpec:
    """The sandbox that a request describes.

    @param interpreter: its parts are left to each start.
    @param script: its real path on the host, for an unsandboxed agent.
    @param script_copy: the kernel's copy of it, for a sandboxed one.
    @param home: the agent's workspace on the host.
    @param socket: the agent's own socket on the host.
    @param egress: the ports that its rules name, for hosts without NAT.
    """
    env = environment(request, agent_id, socket, host)
    rlimits = _rlimits(request, limits, bounds, host)
    procs = (cgroup_procs,) if cgroup_procs is not None else ()
    name = script_copy.rpartition("/")[2]
    python = interpreter.program
    if not request.sandboxed:
        argv = (python, script, socket, *(request.args or ()))
        return SandboxSpec(
            argv=argv,
            env=env,
            cwd=host.cwd,
            namespaces=frozenset(),
            rlimits=rlimits,
            cgroup_procs=procs,
            nice=bounds.nice,
            allow_degraded=request.allow_degraded,
        )
    binds = [
        *_common_binds(host, interpreter),
        *own_binds(script_copy, home, socket),
    ]
    uid = own_uid(agent_id, host, bounds)
    return SandboxSpec(
        argv=(python, f"/app/{name}", SOCKET_INSIDE, *(request.args or ())),
        env=env,
        cwd="/workspace",
        namespaces=ALL,
        egress=egress if request.network else None,
        hostname=HOSTNAME,
        uid=uid,
        umask=0o077,
        binds=tuple(binds),
        rlimits=rlimits,
        user_limits={
            "max_inotify_instances": bounds.inotify_instances,
            "max_inotify_watches": bounds.inotify_watches,
        },
        cgroup_procs=procs,
        nice=bounds.nice,
        allow_degraded=request.allow_degraded,
    )


def _rlimits(
    request: SpawnRequest, limits: Limits, bounds: AgentLimits, host: Host
) -> dict[str, int]:
    """Resource limits by setrlimit(2): always some, more where cgroups cannot help.

    The number of processes is counted for a user in a user namespace
    (user_namespaces(7)), so it can only be limited inside a sandbox: outside,
    all of the user's own processes would count. So are signals and message queues.
    """
    rlimits = {"nofile": bounds.descriptors}
    if request.sandboxed:
        rlimits["sigpending"] = bounds.pending_signals
        rlimits["msgqueue"] = bounds.message_queues
        rlimits["memlock"] = bounds.locked_memory
    if "memory" not in host.controllers:
        rlimits["data"] = limits.memory
    if "pids" not in host.controllers and request.sandboxed:
        own = 1 if host.root else 2  # init counts, and a rootless kernel's helper
        rlimits["nproc"] = limits.max_pids + own
    return rlimits
