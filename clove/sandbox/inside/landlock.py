"""Landlock, a second wall behind the mount namespace (landlock(7)).

The mounts say already what can be written; should one of them be had wrong, or
be got around, this says it once more, by another part of the kernel. Beyond
that it keeps signals and abstract Unix sockets of cold starts inside where Linux
has these scopes. TCP is left alone: its rules know ports, no addresses, so they would
forbid the sandbox's own loopback, which is all that there is without a network.
"""

from __future__ import annotations

import errno
import os
import struct

from clove.sandbox.inside import mounts, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["abi", "handled", "restrict", "rules", "scopes"]

CREATE_RULESET = 444
ADD_RULE = 445
RESTRICT_SELF = 446
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15

BASE = (1 << 13) - 1
"""Rights of the first ABI."""
LATER = {2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
"""Rights by the ABI that brought them."""
DEVICES = MAKE_CHAR | MAKE_BLOCK
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights that a rule for something that is no directory may give."""

ABSTRACT_UNIX_SOCKET = 1 << 0
SIGNAL = 1 << 1
SCOPES_ABI = 6

LEAST_ABI = 2
"""The first one forbids to move files between directories, whatever the rules."""

READ = EXECUTE | READ_FILE | READ_DIR
USE_DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV
USE_PROC = READ | WRITE_FILE | TRUNCATE


def abi() -> int:
    """The version that this Linux has; 0: none, or it is switched off or forbidden."""
    try:
        return syscalls.call(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
        return 0


def handled(version: int) -> int:
    """All rights on files that an ABI knows; those that no rule gives are refused."""
    rights = BASE
    for since, right in LATER.items():
        if version >= since:
            rights |= right
    return rights


def scopes(version: int) -> int:
    """What an ABI can keep inside."""
    return ABSTRACT_UNIX_SOCKET | SIGNAL if version >= SCOPES_ABI else 0


def rules(spec: Mapping[str, Any], devices: Iterable[str]) -> list[tuple[str, int]]:
    """Paths inside to the rights below them, from what a spec mounts.

    @param spec: the fields of C{SandboxSpec}.
    @param devices: names in /dev.

    With C{executables} nothing else can be executed. What an interpreter or the
    dynamic loader only reads and maps is beyond Landlock.
    """
    everything = handled(max(LATER)) & ~DEVICES
    targets = [bind["target"] for bind in spec["binds"] if bind["writable"]]
    executables = spec["executables"]
    found = [("/", READ), ("/proc", USE_PROC)]
    found += [(f"/dev/{name}", USE_DEVICE) for name in (*devices, "pts")]
    found += [(path, everything) for path in sorted({"/dev/shm", *spec["tmpfs"], *targets})]  # noqa: S108
    if executables is None:
        return found
    return [(path, rights & ~EXECUTE) for path, rights in found] + [
        (path, EXECUTE) for path in executables
    ]


def restrict(wanted: Iterable[tuple[str, int]], *, scoped: bool = True) -> int:
    """Confine this process and all that it makes to some rules. Needs no_new_privs.

    @param scoped: keep their signals and abstract sockets among them, and so apart
        from processes of the same sandbox with rules of their own.
    @return: the ABI that holds it now; 0: it is not confined, because this
        Linux has no Landlock that would do.
    @raise OSError: it has, but it refuses.
    """
    version = abi()
    if version < LEAST_ABI:
        return 0
    known = handled(version)
    attributes = struct.pack("@QQQ", known, 0, scopes(version) if scoped else 0)
    ruleset = syscalls.call(CREATE_RULESET, attributes, len(attributes), 0)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path, rights in wanted:
            _allow(ruleset, root, path, rights & known)
        syscalls.call(RESTRICT_SELF, ruleset, 0)
    except OSError as error:
        if error.errno != errno.E2BIG:  # inside as many others as there can be
            raise
        return 0
    finally:
        os.close(root)
        os.close(ruleset)
    return version


def _allow(ruleset: int, root: int, path: str, rights: int) -> None:
    """Add a rule; what an optional bind has not brought needs none."""
    try:
        place = mounts.reach(root, path.strip("/") or ".")
    except FileNotFoundError:
        return
    try:
        if not mounts.is_directory(place):
            rights &= OF_FILES
        beneath = struct.pack("=Qi", rights, place)
        syscalls.call(ADD_RULE, ruleset, RULE_PATH_BENEATH, beneath, 0)
    finally:
        os.close(place)
