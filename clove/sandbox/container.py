"""Whether this host is a container, and how a kernel gets cgroups there or elsewhere.

Standard library only; reads small files.
"""

from __future__ import annotations

import functools
import os
from typing import Final

__all__ = ["cgroup_remedy", "in_container", "in_pod", "read_text"]

_MARKS: Final = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman make."""
_BOOTED: Final = "run/systemd/system"
"""There where systemd is process 1: sd_booted(3)."""
_SCOPE: Final = "systemd-run --scope" if os.geteuid() == 0 else "systemd-run --user --scope"
_DELEGATE: Final = (
    f"run the kernel as a systemd service with Delegate=yes, or by `{_SCOPE} -p Delegate=yes`"
)
_ENGINE: Final = (
    "have the container's engine mount its cgroup for writing: Docker 28 or newer with --security-opt "
    'writable-cgroups=true, Podman with --runtime runc and cgroup_manager = "systemd" (docs/docker.md); '
    "without it the container's own --memory, --cpus and --pids-limit hold all agents together"
)
_POD: Final = (
    "a pod has no cgroup to divide: its own resources.limits hold all agents together "
    "(docs/kubernetes.md)"
)
_BARE: Final = (
    "there is no systemd to ask: start the kernel as root, or in a cgroup of version 2 that belongs to "
    "its user and has no other processes"
)


def in_container(root: str = "/") -> bool:
    """Whether an engine has started what runs here.

    @param root: where proc and the rest are found.
    """
    if any(os.path.exists(f"{root}{mark}") for mark in _MARKS) or in_pod(root):
        return True
    return "container=" in read_text(f"{root}proc/1/environ")


def in_pod(root: str = "/") -> bool:
    """Whether it is a pod of Kubernetes."""
    return "KUBERNETES_SERVICE_HOST=" in read_text(f"{root}proc/self/environ")


@functools.cache
def cgroup_remedy(root: str = "/") -> str:
    """What gives a kernel cgroups for its agents here, as a sentence of things to do.

    @param root: as with L{in_container}.
    """
    if os.path.isdir(f"{root}{_BOOTED}"):  # in a container as well
        return _DELEGATE
    if in_pod(root):
        return _POD
    return _ENGINE if in_container(root) else _BARE


def read_text(path: str) -> str:
    """The text of a file, such as one of /proc; empty if it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""
