"""Settings of this host that may forbid namespaces, and how to change them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

__all__ = ["read_text", "remedy_for_namespaces"]

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
        value = read_text(f"{root}proc/sys/{name}").strip()
        unprivileged = name.startswith("user/") or os.geteuid() != 0
        if value and forbids(value) and unprivileged:
            found.append(remedy)
    if _in_container(root) and "Seccomp:\t2" in read_text(f"{root}proc/self/status"):
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
    return "container=" in read_text(f"{root}proc/1/environ")


def read_text(path: str) -> str:
    """The text of a file, such as one of /proc; empty if it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""
