"""Privileges given up for good: capabilities, secure bits, no_new_privs."""

from __future__ import annotations

import errno
import os

from clove.sandbox.inside import syscalls

__all__ = [
    "die_with_parent",
    "drop_bounding",
    "drop_current",
    "forbid_new_privileges",
    "hide_memory",
    "keep_through_exec",
    "show_memory",
]

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

SECUREBITS = 0xEF
"""NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE and their locks, KEEP_CAPS_LOCKED."""


def drop_bounding() -> None:
    """Make sure that no exec and no change of uid ever gives a capability again.

    @raise OSError: the caller has no CAP_SETPCAP.
    """
    syscalls.prctl(PR_SET_SECUREBITS, SECUREBITS)
    syscalls.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(64):
        refused = syscalls.quick_prctl(PR_CAPBSET_DROP, number)
        if refused == errno.EINVAL:  # past the kernel's last capability
            break
        if refused:
            raise OSError(refused, os.strerror(refused), "prctl")


def keep_through_exec() -> None:
    """Let a program that is no root keep what this process may (ambient capabilities)."""
    count = 0
    while _known(count):
        count += 1
    everything = (1 << count) - 1
    syscalls.capset(everything, everything, everything)
    for number in range(count):
        syscalls.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)


def _known(number: int) -> bool:
    try:
        syscalls.prctl(PR_CAPBSET_READ, number)
    except OSError:
        return False
    return True


def drop_current() -> None:
    """Empty the permitted, effective and inheritable sets."""
    syscalls.capset(0, 0, 0)


def forbid_new_privileges() -> None:
    """No exec ever gives more than the caller has (set-uid files, file capabilities)."""
    syscalls.prctl(PR_SET_NO_NEW_PRIVS, 1)


def hide_memory() -> None:
    """Make this process undumpable: its /proc entries are root's, and it cannot be traced."""
    syscalls.prctl(PR_SET_DUMPABLE, 0)


def show_memory() -> None:
    """Make this process dumpable again, so that its /proc entries are its own user's."""
    syscalls.prctl(PR_SET_DUMPABLE, 1)


def die_with_parent(signal: int = 9) -> None:
    """Be killed when the parent's thread ends. A change of credentials undoes it."""
    syscalls.prctl(PR_SET_PDEATHSIG, signal)
