"""From a SPAWN request to the description of a sandbox. Pure."""

from __future__ import annotations

import functools
import os.path
from collections.abc import Mapping
from typing import Any

import msgspec

from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.request_checks import accepts_less
from clove.kernel.launch.resource_limits import ResourceLimits
from clove.kernel.mounts.interpreter import Interpreter
from clove.messages.agents import SpawnRequest
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec

__all__ = [
    "Host",
    "agent_spec",
    "common_spec",
    "environment",
    "own_binds",
]

SOCKET_INSIDE = "/tmp/clove.sock"  # noqa: S108 the contract's path, private inside a sandbox
LIBRARY_INSIDE = "/opt/clove"
AUTHORITIES_INSIDE = "/etc/ssl/clove.pem"
TRUST_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL, and so Python's ssl, curl, wget
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)
WORKSPACE = "/workspace"
HOSTNAME = "clove"
ALL = frozenset(NAMESPACES)


class Host(msgspec.Struct, frozen=True):
    """What this kernel's host gives every plan.

    @ivar library: directory of the `clove` package.
    @ivar controllers: cgroup v2 controllers at hand.
    @ivar root: the kernel runs as root.
    @ivar environ: environment of the kernel without its secrets.
    @ivar cwd: the kernel's working directory.
    @ivar authorities: a file of certificates that sandboxes trust instead of the host's; "" for none.
    """

    library: str
    controllers: frozenset[str]
    root: bool
    environ: Mapping[str, str]
    cwd: str
    authorities: str = ""


def environment(request: SpawnRequest, agent_id: int, socket: str, host: Host) -> dict[str, str]:
    """The environment of an agent's main process; the kernel's own words win."""
    if request.sandboxed:
        base = _inside(host)
        library = LIBRARY_INSIDE
    else:
        base = {**host.environ, "PYTHONUNBUFFERED": "1"}
        library = host.library.removesuffix("/clove")
    base.update({**(request.env or {}), **_secrets(request, files=False)})
    earlier = base.get("PYTHONPATH")
    base["PYTHONPATH"] = f"{earlier}:{library}" if earlier else library
    base["CLOVE_SOCKET"] = SOCKET_INSIDE if request.sandboxed else socket
    base["CLOVE_AGENT_ID"] = str(agent_id)
    return base


def _secrets(request: SpawnRequest, *, files: bool) -> dict[str, str]:
    """Those that are files in /run/secrets, or those that are variables."""
    found = request.secrets or {}
    return {name: one.value for name, one in found.items() if one.file is files}


def _inside(host: Host) -> dict[str, str]:
    """What every sandbox's environment begins with."""
    base = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/workspace",
        "LSAN_OPTIONS": "detect_leaks=0",  # it looks for them by ptrace(2), which is refused
        "LANG": host.environ.get("LANG", "C.UTF-8"),
        "TMPDIR": "/tmp",  # noqa: S108 private inside a sandbox
        "USER": "agent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if host.authorities:
        base.update(dict.fromkeys(TRUST_VARIABLES, AUTHORITIES_INSIDE))
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


@functools.lru_cache(maxsize=16)  # nearly all agents have the kernel's own
def _binds_in_common(library: str, authorities: str, interpreter: Interpreter) -> tuple[Bind, ...]:
    trusted = (Bind(authorities, AUTHORITIES_INSIDE),) if authorities else ()
    return (*interpreter.binds, Bind(library, f"{LIBRARY_INSIDE}/clove"), *trusted)


def _common_binds(host: Host, interpreter: Interpreter) -> tuple[Bind, ...]:
    return _binds_in_common(host.library, host.authorities, interpreter)


def own_binds(script_copy: str, home: str, socket: str) -> tuple[Bind, ...]:
    """What of the host is a sandboxed agent's own; see L{agent_spec}."""
    return (
        Bind(os.path.dirname(script_copy), "/app"),
        Bind(home, "/workspace", writable=True),
        Bind(socket, SOCKET_INSIDE, writable=True),
    )


def agent_spec(
    request: SpawnRequest,
    agent_id: int,
    *,
    host: Host,
    limits: ResourceLimits,
    bounds: AgentLimits,
    interpreter: Interpreter,
    script: str,
    script_copy: str,
    home: str,
    socket: str,
    cgroup_procs: str | None,
    uid: int | None = None,
    egress: tuple[int, ...] = (),
) -> SandboxSpec:
    """The sandbox that a request describes.

    @param script: its real path on the host, if any; a sandbox runs C{script_copy}, the kernel's.
    @param home: the agent's workspace on the host, as C{socket} is its own socket there.
    @param uid: the user id that it runs under in a sandbox; None: the kernel's own.
    @param egress: the ports that its rules name, for hosts without NAT.
    """
    spec = functools.partial(
        SandboxSpec,
        env=environment(request, agent_id, socket, host),
        cgroup_procs=(cgroup_procs,) if cgroup_procs else (),
        **_bounds(request, limits, bounds, host),
    )
    if not request.sandboxed:
        return spec(argv=_argv(request, interpreter, script, socket), cwd=request.cwd or host.cwd)
    return spec(
        argv=_argv(request, interpreter, f"/app/{os.path.basename(script_copy)}", SOCKET_INSIDE),
        cwd=request.cwd or WORKSPACE,
        binds=(*_common_binds(host, interpreter), *own_binds(script_copy, home, socket)),
        links={mount.link: mount.path for mount in request.mounts or () if mount.link},
        egress=egress if request.network else None,
        uid=uid,
        **_confinement(request, limits, bounds),
    )


def _argv(
    request: SpawnRequest, interpreter: Interpreter, script: str, socket: str
) -> tuple[str, ...]:
    """What runs: a script gets the socket's path first unless that is not wanted, a command nothing
    that it does not say.
    """
    if request.command is not None:
        return tuple(request.command)
    first = (socket,) if request.socket_argument else ()
    return (interpreter.program, script, *first, *(request.args or ()))


def _bounds(
    request: SpawnRequest, limits: ResourceLimits, bounds: AgentLimits, host: Host
) -> dict[str, Any]:
    """What bounds every agent, sandboxed or not."""
    return {
        "rlimits": _rlimits(request, limits, bounds, host),
        "raisable": ("data",) if accepts_less(request) else (),
        "nice": bounds.nice,
        "processors": limits.processors(bounds.processors),
        "allow_degraded": request.allow_degraded,
        "stdin": request.stdin != "closed" and request.tty is None,
        "terminal": None if request.tty is None else (request.tty.rows, request.tty.columns),
    }


def _confinement(
    request: SpawnRequest, limits: ResourceLimits, bounds: AgentLimits
) -> dict[str, Any]:
    """What sandboxes alone have."""
    return {
        "tmpfs": limits.tmpfs,
        "secrets": _secrets(request, files=True),
        "namespaces": ALL,
        "hostname": HOSTNAME,
        "umask": 0o077,
        "user_limits": {
            "max_inotify_instances": bounds.inotify_instances,
            "max_inotify_watches": bounds.inotify_watches,
        },
    }


def _rlimits(
    request: SpawnRequest, limits: ResourceLimits, bounds: AgentLimits, host: Host
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
    watched = request.sandboxed and accepts_less(request)  # all of its processes together
    if "memory" not in host.controllers and not watched:
        rlimits["data"] = limits.memory
    if "pids" not in host.controllers and request.sandboxed:
        own = 1 if host.root else 2  # init counts, and a rootless kernel's helper
        rlimits["nproc"] = limits.max_pids + own
    return rlimits
