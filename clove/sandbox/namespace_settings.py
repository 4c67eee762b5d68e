"""Settings of this host that may forbid namespaces, and how to change them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from clove.sandbox.container import in_container, in_pod, read_text

__all__ = ["remedy_for_namespaces"]

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

_ENGINE: Final = (
    "the container's seccomp profile forbids unshare: start it with --security-opt seccomp=FILE, which is "
    "Clove's deploy/docker/seccomp.json (or seccomp=unconfined), and with --security-opt "
    "systempaths=unconfined (Podman: unmask=ALL); where there is AppArmor, with apparmor=unconfined, too"
)
_POD: Final = (
    "the pod's seccomp profile forbids unshare: a kernel's pod needs hostUsers: false, procMount: Unmasked "
    "and Clove's seccomp profile, as the shipped manifests have them (docs/kubernetes.md)"
)


def remedy_for_namespaces(root: str = "/") -> str:
    """What on this host may forbid namespaces, as a sentence of things to do.

    @param root: where proc and the rest are found.
    """
    found = []
    for name, forbids, remedy in _SYSCTLS:
        value = read_text(f"{root}proc/sys/{name}").strip()
        unprivileged = name.startswith("user/") or os.geteuid() != 0
        if value and forbids(value) and unprivileged:
            found.append(remedy)
    if in_container(root) and "Seccomp:\t2" in read_text(f"{root}proc/self/status"):
        found.append(_POD if in_pod(root) else _ENGINE)
    return "; ".join(found) or "use Linux 4.18 or later with CONFIG_USER_NS=y, or run as root"
