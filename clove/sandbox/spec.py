"""What a sandbox shall be: plain data, checked, as JSON both ways.

Pure. The launcher builds it; the helper, which imports nothing but the cheap
parts of the standard library, reads the same JSON as a plain mapping.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

__all__ = ["NAMESPACES", "Bind", "Isolation", "OnHost", "Owner", "SandboxSpec", "on_host"]

NAMESPACES: Final = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time")
"""Kinds of namespaces (namespaces(7)) that a spec may name."""

REPORTED: Final = ("pid", "net", "mnt", "uts", "ipc", "user")
"""The kinds without which an agent is not fully isolated (`docs/wire.md`, SPAWN)."""


class Owner(NamedTuple):
    """Whose files a mount shows as the agent's (docs/owners.md).

    @ivar whole: what is mounted must be theirs; else it lies in what is.
    """

    uid: int
    gid: int
    whole: bool = True

    @property
    def ids(self) -> tuple[int, int]:
        """User and group id, as the file system has them."""
        return self.uid, self.gid


class Bind(msgspec.Struct, frozen=True):
    """A file or directory of the host that is to be seen inside.

    @ivar source: absolute host path, without any symbolic link in it.
    @ivar target: absolute path inside.
    @ivar optional: leave it out when the host has no such path.
    @ivar noexec: nothing in it can be executed, nor mapped to be (mount(8)).
    @ivar identity: device and inode number of what the source must be when it is mounted.
    @ivar owner: whose files in it are the agent's; None: those of the agent's user id.
    """

    source: str
    target: str
    writable: bool = False
    optional: bool = False
    noexec: bool = False
    identity: tuple[int, int] | None = None
    owner: Owner | None = None

    def to_json(self) -> dict[str, Any]:
        """The mapping that is read inside."""
        return {
            "source": self.source,
            "target": self.target,
            "writable": self.writable,
            "optional": self.optional,
            "noexec": self.noexec,
            "identity": self.identity,
            "owner": self.owner,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Bind:
        """The bind again.

        @raise TypeError: unknown fields.
        """
        identity, owner = fields.get("identity"), fields.get("owner")
        known = {
            "identity": None if identity is None else tuple(identity),
            "owner": None if owner is None else Owner(*owner),
        }
        return cls(**{**fields, **known})


class OnHost(NamedTuple):
    """Where what a sandbox has at a path lies on the host.

    @ivar writable: the sandbox may write there.
    """

    path: str
    writable: bool


def on_host(binds: Iterable[Bind], path: str) -> OnHost | None:
    """Where a real path inside comes from; None: it is the sandbox's own. Pure.

    @param binds: in the order in which they are mounted: the last one hides the others.
    """
    if not path.startswith("/") or os.path.normpath(path) != path:
        return None
    found = None
    for bind in binds:
        if path == bind.target or path.startswith(f"{bind.target}/"):
            found = OnHost(bind.source + path[len(bind.target) :], bind.writable)
    return found


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One program and where it shall run.

    @ivar namespaces: kinds from L{NAMESPACES}; empty: on the host, uncontained.
    @ivar uid: for a root kernel, the outside uid and gid that the inside's one
        user is; ignored for an unprivileged kernel, whose own uid it is.
    @ivar binds: later ones may lie inside earlier ones.
    @ivar links: path inside to the text of a symbolic link.
    @ivar files: path inside to the text of a read-only file.
    @ivar secrets: name in /run/secrets to the text of a file that only the program's user may read.
    @ivar tmpfs: path inside to its size in bytes.
    @ivar executables: real paths inside that alone can be executed, directories with
        all beneath; every other tmpfs is mounted noexec. None: everything.
    @ivar rlimits: name such as `nofile` (getrlimit(2)) to soft and hard limit.
    @ivar raisable: names of those of them that are soft limits alone, which programs may raise.
    @ivar user_limits: name in /proc/sys/user to the most that the sandbox's user namespace
        may have of it; see L{clove.sandbox.inside.namespaces.limit_user}.
    @ivar cgroup_procs: `cgroup.procs` files to join before anything else.
    @ivar processors: how many of the host's it runs on at most; 0: all.
    @ivar umask: None keeps the kernel's.
    @ivar egress: hand out the sockets through which the network leaves
        (`docs/egress.md`), with these ports where the host has no NAT for all; None:
        there is no network but loopback.
    @ivar stdin: the program reads what the launcher is given for that; else /dev/null.
    @ivar seccomp: in a sandbox, filter system calls.
    @ivar landlock: in a private root, confine files by Landlock as well, if
        this Linux has it.
    @ivar terminal: rows and columns of the terminal that the program runs on; None: it has pipes.
    @ivar allow_degraded: start with less isolation where the host cannot give all.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    cwd: str = "/"
    namespaces: frozenset[str] = frozenset()
    hostname: str = "clove"
    uid: int | None = None
    binds: tuple[Bind, ...] = ()
    links: Mapping[str, str] = msgspec.field(default_factory=dict)
    files: Mapping[str, str] = msgspec.field(default_factory=dict)
    secrets: Mapping[str, str] = msgspec.field(default_factory=dict)
    tmpfs: Mapping[str, int] = msgspec.field(default_factory=dict)
    executables: tuple[str, ...] | None = None
    rlimits: Mapping[str, int] = msgspec.field(default_factory=dict)
    raisable: tuple[str, ...] = ()
    user_limits: Mapping[str, int] = msgspec.field(default_factory=dict)
    cgroup_procs: tuple[str, ...] = ()
    nice: int = 0
    processors: int = 0
    umask: int | None = None
    egress: tuple[int, ...] | None = None
    stdin: bool = False
    seccomp: bool = True
    landlock: bool = True
    terminal: tuple[int, int] | None = None
    allow_degraded: bool = False

    def __post_init__(self) -> None:
        """@raise ValueError: the spec makes no sense."""
        if not self.argv or not self.argv[0]:
            raise ValueError("a program needs a name")
        unknown = self.namespaces.difference(NAMESPACES)
        if unknown:
            raise ValueError(f"no such namespaces: {', '.join(sorted(unknown))}")
        own = (self.binds, self.links, self.files, self.secrets, self.tmpfs)
        if "mnt" not in self.namespaces and any(own):
            raise ValueError("binds, links, files, secrets and tmpfs need a mount namespace")
        if any(name in ("", ".", "..") or "/" in name for name in self.secrets):
            raise ValueError("a secret's name is that of a file")
        if "pid" in self.namespaces and "mnt" not in self.namespaces:
            raise ValueError("a pid namespace needs a mount namespace for its own /proc")
        if self.uid is not None and self.uid <= 0:
            raise ValueError("the outside uid of a sandbox is never root's")
        if self.egress is not None and "net" not in self.namespaces:
            raise ValueError("egress needs a network namespace")
        mapped = any(bind.owner is not None for bind in self.binds)
        if mapped and (self.uid is None or not self.seccomp):
            raise ValueError("owners are mapped to a uid, and where set-id bits are filtered")
        for path in self._inside_paths():
            if path[:1] != "/" or (".." in path and ".." in path.split("/")):
                raise ValueError(f"not an absolute path without ..: {path!r}")
        for text in (*self.argv, *self.env, *self.env.values(), self.cwd):
            if "\0" in text:
                raise ValueError("a NUL byte in an argument, the environment or the directory")
        if any("=" in name or not name for name in self.env):
            raise ValueError("an environment variable's name is empty or has an = in it")

    def __repr__(self) -> str:
        """All fields but the secrets, which no log shall have."""
        names = (name for name in self.__struct_fields__ if name != "secrets")
        return f"SandboxSpec({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def _inside_paths(self) -> tuple[str, ...]:
        targets = [path for bind in self.binds for path in (bind.source, bind.target)]
        return (self.cwd, *targets, *self.links, *self.files, *self.tmpfs, *self.cgroup_procs)

    def to_json(self) -> dict[str, Any]:
        """The mapping that the helper reads and L{from_json} takes."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        fields["namespaces"] = sorted(self.namespaces)
        fields["binds"] = [bind.to_json() for bind in self.binds]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> SandboxSpec:
        """The spec again.

        @raise ValueError, TypeError: unknown or senseless fields.
        """
        known = dict(fields)
        known["argv"] = tuple(known.get("argv", ()))
        known["namespaces"] = frozenset(known.get("namespaces", ()))
        known["binds"] = tuple(map(Bind.from_json, known.get("binds", ())))
        if known.get("egress") is not None:
            known["egress"] = tuple(known["egress"])
        if known.get("executables") is not None:
            known["executables"] = tuple(known["executables"])
        if known.get("terminal") is not None:
            known["terminal"] = tuple(known["terminal"])
        known["raisable"] = tuple(known.get("raisable", ()))
        known["cgroup_procs"] = tuple(known.get("cgroup_procs", ()))
        return cls(**known)

    def dumps(self) -> str:
        """L{to_json} as text."""
        return json.dumps(self.to_json())


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """What was really set up, as SPAWN's reply reports it.

    @ivar namespaces: kind to whether the program is in a namespace of its own.
    @ivar cgroup: it was put into a cgroup of its own.
    @ivar memory_limit, cpu_quota, pids_limit: that cgroup holds the limit; the
        launcher knows only what its caller tells it.
    @ivar seccomp: its system calls are filtered.
    @ivar landlock: its files are confined by Landlock as well; a second wall,
        without which it counts as fully isolated all the same.
    @ivar degraded_reason: why something that was asked for is missing.
    """

    namespaces: Mapping[str, bool] = msgspec.field(default_factory=dict)
    cgroup: bool = False
    memory_limit: bool = False
    cpu_quota: bool = False
    pids_limit: bool = False
    seccomp: bool = False
    landlock: bool = False
    degraded_reason: str = ""

    @property
    def fully_isolated(self) -> bool:
        """Every namespace, the filter and every limit of SPAWN holds."""
        limits = self.cgroup and self.memory_limit and self.cpu_quota and self.pids_limit
        return (
            limits and self.seccomp and all(self.namespaces.get(kind, False) for kind in REPORTED)
        )

    def to_wire(self) -> dict[str, Any]:
        """The `isolation` object of SPAWN's reply."""
        report: dict[str, Any] = {
            "fully_isolated": self.fully_isolated,
            "namespaces": {kind: self.namespaces.get(kind, False) for kind in REPORTED},
            "cgroups": {
                "available": self.cgroup,
                "memory_limit": self.memory_limit,
                "cpu_quota": self.cpu_quota,
                "pids_limit": self.pids_limit,
            },
            "seccomp": self.seccomp,
            "landlock": self.landlock,
        }
        if self.degraded_reason:
            report["degraded_reason"] = self.degraded_reason
        return report
