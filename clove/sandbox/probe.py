"""What this host can isolate, found out by really trying, and what would change it.

Standard library only; blocking (a fraction of a second). Run as a program it
is the throw-away child that tries: each attempt is made in a process of its
own, so nothing of it stays.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["NAMESPACES", "Feature", "Report", "probe", "remedy_for_namespaces"]

NAMESPACES: Final = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
}
"""CLONE_NEW* of linux/sched.h; all of them make the default sandbox."""

_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_ALLOW_EVERYTHING: Final = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)  # BPF_RET | BPF_K
_SYS_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_CREATE_RULESET_VERSION: Final = 1
_CHILD_SECONDS: Final = 20
_FAILED: Final = "the probe failed:"


@dataclass(frozen=True, slots=True)
class Feature:
    """One mechanism.

    @ivar name: such as `namespace.user` or `cgroup.memory`.
    @ivar detail: what was found; for one that is missing, why.
    @ivar remedy: what would make it available; empty if nothing is known.
    """

    name: str
    available: bool
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All features of this host for this user."""

    features: tuple[Feature, ...]

    def __getitem__(self, name: str) -> Feature:
        """The feature with this name.

        @raise KeyError: no such feature.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @property
    def missing(self) -> tuple[Feature, ...]:
        """What the default sandbox needs and this host does not give.

        What a whole one said of itself (`sandbox` and all below it) counts too, but
        for Landlock, without which agents are sandboxed as well.
        """
        needed = (*(f"namespace.{name}" for name in NAMESPACES), "seccomp")
        whole = (
            feature
            for feature in self.features
            if feature.name.partition(".")[0] == "sandbox" and feature.name != "sandbox.landlock"
        )
        found = (*(self[name] for name in needed), *whole)
        return tuple(feature for feature in found if not feature.available)

    @property
    def sandbox(self) -> bool:
        """True if the default sandbox can be had."""
        return not self.missing

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"sandbox": self.sandbox, "features": [asdict(each) for each in self.features]}


def probe(python: str = sys.executable) -> Report:
    """Try everything.

    @param python: the interpreter that the child runs.
    """
    attempts = _attempts(python)
    features = [*_namespaces(attempts), _openat2(), *_cgroups()]
    features += [_attempted(name, attempts) for name in ("seccomp", "landlock")]
    return Report(tuple(features))


def _attempts(python: str) -> dict[str, str]:
    """What the child says: for each attempt "" or "errno text", landlock its ABI."""
    try:
        child = subprocess.run(
            [python, "-I", "-S", __file__],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHILD_SECONDS,
            check=False,
        )
        found = json.loads(child.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return dict.fromkeys((*NAMESPACES, "seccomp", "landlock"), f"{_FAILED} {error}")
    return {str(name): str(text) for name, text in found.items()}


def _namespaces(attempts: Mapping[str, str]) -> Iterable[Feature]:
    failed = [attempts[name] for name in NAMESPACES if attempts.get(name)]
    remedy = remedy_for_namespaces() if failed else ""
    if failed and failed[0].startswith(_FAILED):
        remedy = "give this user an interpreter that it may run"
    for name in NAMESPACES:
        failure = attempts.get(name, "not tried")
        detail = failure or "as root" * (os.geteuid() == 0) or "unprivileged"
        yield Feature(f"namespace.{name}", not failure, detail, remedy if failure else "")


def _attempted(name: str, attempts: Mapping[str, str]) -> Feature:
    from clove.sandbox.filters import sandbox_filter

    remedies = {
        "landlock": "boot Linux 5.19 or later with CONFIG_SECURITY_LANDLOCK=y and landlock in its "
        "lsm= list; agents are sandboxed without it as well",
        "seccomp": "boot a kernel with CONFIG_SECCOMP_FILTER=y",
    }
    found = attempts.get(name, "not tried")
    machine = os.uname().machine
    if name == "seccomp" and sandbox_filter(machine) is None:
        return Feature(name, False, f"no filter for {machine}", "use x86_64 or aarch64")
    if found == "ABI 1":
        found = "ABI 1 forbids to move files between directories"
        return Feature(name, False, found, remedies[name])
    if not found or found.startswith("ABI"):
        return Feature(name, True, found or "filters")
    return Feature(name, False, found, "" if found.startswith(_FAILED) else remedies[name])


def _openat2() -> Feature:
    from clove.sandbox.openat2 import available

    if available():
        return Feature("openat2", True, "system call")
    return Feature(
        "openat2",
        False,
        "refused or older than Linux 5.6; paths are walked one component at a time instead",
        "use Linux 5.6 or a seccomp profile of a container that knows openat2",
    )


def _cgroups() -> Iterable[Feature]:
    from clove.sandbox.cgroup_sites import (
        WANTED,
        WELCOME,
        CgroupsUnavailable,
        disks_by_weight,
        survey,
    )

    names = sorted(WANTED | WELCOME)

    try:
        site = survey()
    except CgroupsUnavailable as error:
        yield Feature("cgroup", False, error.reason, error.remedy)
        for name in names:
            yield Feature(f"cgroup.{name}", False, "no cgroup to put it in", error.remedy)
        return
    yield Feature("cgroup", True, site.path)
    for name in names:
        if name in site.controllers:
            detail = site.path
            if name == "io":
                disks = ", ".join(disks_by_weight()) or "no disk (neither BFQ nor io.cost is on)"
                detail = f"weights, which count on {disks}"
            yield Feature(f"cgroup.{name}", True, detail)
            continue
        yield Feature(f"cgroup.{name}", False, f"not given to {site.path}", _controller(name))


def _controller(name: str) -> str:
    """What helps against a missing controller."""
    for line in _read("/proc/self/cgroup").splitlines():
        if name in line.split(":")[1].split(","):
            return (
                "the controller is in use by cgroup version 1: "
                "boot with systemd.unified_cgroup_hierarchy=1"
            )
    return "run the kernel as a systemd service with Delegate=yes"


_Check = tuple[str, Callable[[str], bool], str]

_SYSCTLS: Final[tuple[_Check, ...]] = (
    (
        "kernel/unprivileged_userns_clone",
        lambda value: value == "0",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "user/max_user_namespaces",
        lambda value: value == "0",
        "sysctl -w user.max_user_namespaces=15000",
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        lambda value: value != "0",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile "
        "with `userns,` for the kernel's interpreter",
    ),
)


def remedy_for_namespaces(root: str = "/") -> str:
    """What on this host may forbid namespaces, as a sentence of things to do.

    @param root: where proc and the rest are found.
    """
    found = []
    for name, forbids, remedy in _SYSCTLS:
        value = _read(f"{root}proc/sys/{name}").strip()
        unprivileged = name.startswith("user/") or os.geteuid() != 0
        if value and forbids(value) and unprivileged:
            found.append(remedy)
    if _in_container(root) and "Seccomp:\t2" in _read(f"{root}proc/self/status"):
        found.append(
            "the container's seccomp profile forbids unshare: start it with "
            "--security-opt seccomp=unconfined (or a profile that allows unshare, mount and "
            "pivot_root) and --security-opt systempaths=unconfined"
        )
    return "; ".join(found) or "use Linux 4.18 or later with CONFIG_USER_NS=y, or run as root"


def _in_container(root: str) -> bool:
    marks = (".dockerenv", "run/.containerenv")
    if any(os.path.exists(f"{root}{mark}") for mark in marks):
        return True
    return "container=" in _read(f"{root}proc/1/environ")


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


# The rest runs in the child.


def _fail(code: int) -> None:
    raise OSError(code, os.strerror(code))


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(flags)) != 0:
        _fail(ctypes.get_errno())


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _try_namespace(name: str) -> str:
    """Enter a namespace as the sandbox would, and use what it is for."""
    uid, gid = os.geteuid(), os.getegid()
    if name == "user" or uid != 0:
        _unshare(NAMESPACES["user"])
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    if name != "user":
        _unshare(NAMESPACES[name])
    libc = ctypes.CDLL(None, use_errno=True)
    if name == "mnt" and libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None):
        _fail(ctypes.get_errno())
    if name == "uts" and libc.sethostname(b"clove", ctypes.c_size_t(5)):
        _fail(ctypes.get_errno())
    if name == "pid":
        pid = os.fork()
        if pid == 0:
            os._exit(0 if os.getpid() == 1 else 1)
        if os.waitpid(pid, 0)[1] != 0:
            return "the first process is not number 1"
    return ""


def _try_seccomp(_: str) -> str:
    """Load a filter that allows everything (seccomp(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    instruction = ctypes.create_string_buffer(_ALLOW_EVERYTHING, len(_ALLOW_EVERYTHING))
    packed = struct.pack("@HP", 1, ctypes.addressof(instruction))
    program = ctypes.create_string_buffer(packed, len(packed))
    nothing = ctypes.c_ulong(0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), nothing, nothing, nothing)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    if libc.prctl(_PR_SET_SECCOMP, mode, program, nothing, nothing):
        _fail(ctypes.get_errno())
    return ""


def _try_landlock(_: str) -> str:
    """The ABI's number (landlock_create_ruleset(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.syscall(
        ctypes.c_long(_SYS_LANDLOCK_CREATE_RULESET),
        None,
        ctypes.c_size_t(0),
        ctypes.c_uint(_LANDLOCK_CREATE_RULESET_VERSION),
    )
    return f"ABI {number}" if number > 0 else os.strerror(ctypes.get_errno())


def _alone(attempt: Callable[[str], str], name: str) -> str:
    """Make an attempt in a process of its own; give what it says."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = attempt(name)
        except OSError as error:
            text = error.strerror or repr(error)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read().decode()
    status = os.waitpid(pid, 0)[1]
    return text or (f"died with status {status}" if status else "")


def _main() -> None:
    found = {name: _alone(_try_namespace, name) for name in NAMESPACES}
    found["seccomp"] = _alone(_try_seccomp, "")
    found["landlock"] = _alone(_try_landlock, "")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main()
