"""Project quotas: what may be written below one directory, held by the file system. Blocking.

ext4 and XFS have them where they are mounted with C{prjquota} (quotactl(2), ext4(5)). A root kernel gives
the workspace of each agent a project of its own.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from typing import Final

from clove.kernel.launch.disk_usage import ENTRY_BYTES

__all__ = ["NoQuota", "clear_quota", "limits_of", "project_of", "set_quota"]

FS_IOC_FSGETXATTR: Final = 0x801C581F
FS_IOC_FSSETXATTR: Final = 0x401C5820
FS_XFLAG_PROJINHERIT: Final = 0x200
_XATTR: Final = struct.Struct("=IIIII8x")
"""struct fsxattr of linux/fs.h: flags, size of extents, their number, project, another size."""
QUOTACTL_FD: Final = 443
"""Linux 5.14, on all architectures alike."""
_PROJECT_QUOTAS: Final = 2
_GET_STATE, _GET_QUOTA, _SET_QUOTA = 0x5808, 0x800007, 0x800008
_STATE_BYTES: Final = 256
"""More than struct fs_quota_statv has (linux/dqblk_xfs.h): its version, then from the third byte flags."""
_ENFORCED: Final = 1 << 5
_DQBLK: Final = struct.Struct("=QQQQQQQQI4x")
"""struct if_dqblk of linux/quota.h: block limits in KiB, blocks, inode limits, inodes, times, what is set."""
_BLOCK_LIMITS, _INODE_LIMITS = 1, 4
FIRST: Final = 0x7C000000
"""The first project; other systems number theirs from 1."""
COUNT: Final = 1 << 24

_libc = ctypes.CDLL(None, use_errno=True)


class NoQuota(Exception):
    """The file system holds no project to a limit, or this process may not have it do so."""


def project_of(number: int) -> int:
    """The project of an agent."""
    return FIRST + number % COUNT


def _quotactl(directory: int, command: int, project: int, block: bytes) -> bytes:
    """@raise OSError: as quotactl_fd(2)."""
    buffer = ctypes.create_string_buffer(block, len(block))
    result = _libc.syscall(
        ctypes.c_long(QUOTACTL_FD),
        ctypes.c_int(directory),
        ctypes.c_uint(command << 8 | _PROJECT_QUOTAS),
        ctypes.c_uint(project),
        ctypes.byref(buffer),
    )
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return buffer.raw


def _require_enforced(directory: int) -> None:
    """@raise OSError: the file system counts projects at most."""
    state = _quotactl(directory, _GET_STATE, 0, b"\x01" + bytes(_STATE_BYTES - 1))
    if not int.from_bytes(state[2:4], "little") & _ENFORCED:
        raise OSError(errno.ENOTSUP, "project quotas are counted, not enforced")


def limits_of(directory: int, project: int) -> tuple[int, int]:
    """The hard limits of a project: KiB, and number of files; 0: none.

    @param directory: a descriptor on the file system.
    @raise OSError: as quotactl_fd(2).
    """
    found = _DQBLK.unpack(_quotactl(directory, _GET_QUOTA, project, bytes(_DQBLK.size)))
    return found[0], found[3]


def _set_limits(directory: int, project: int, blocks: int, files: int) -> None:
    """@raise OSError: as quotactl_fd(2)."""
    which = _BLOCK_LIMITS | _INODE_LIMITS
    block = _DQBLK.pack(blocks, blocks, 0, files, files, 0, 0, 0, which)
    _quotactl(directory, _SET_QUOTA, project, block)


def _require_held(directory: int, project: int, limits: tuple[int, int]) -> None:
    """@raise OSError: what was set is not what the file system says."""
    found = fcntl.ioctl(directory, FS_IOC_FSGETXATTR, bytes(_XATTR.size))
    flags, _, _, has, _ = _XATTR.unpack(found)
    if (
        limits_of(directory, project) != limits
        or has != project
        or not flags & FS_XFLAG_PROJINHERIT
    ):
        raise OSError(errno.ENOTSUP, "the quota was not taken")


def set_quota(path: str, project: int, most: int) -> None:
    """Hold all that is made below a directory to a limit: more fails with EDQUOT or ENOSPC.

    So do more files than would fit if each were nothing but a name.

    @param path: a directory of ours, in which nobody has written yet, or of this project already.
    @param most: bytes.
    @raise NoQuota: that cannot be.
    """
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _require_enforced(directory)
        limits = -(-most // 1024), max(most // ENTRY_BYTES, 1)
        _set_limits(directory, project, *limits)
        found = fcntl.ioctl(directory, FS_IOC_FSGETXATTR, bytes(_XATTR.size))
        flags, size, number, _, other = _XATTR.unpack(found)
        changed = _XATTR.pack(flags | FS_XFLAG_PROJINHERIT, size, number, project, other)
        fcntl.ioctl(directory, FS_IOC_FSSETXATTR, changed)
        _require_held(directory, project, limits)
    except OSError as error:
        raise NoQuota(os.strerror(error.errno or errno.EIO)) from None
    finally:
        os.close(directory)


def clear_quota(path: str, project: int) -> None:
    """Forget the limit of a project of which there is nothing any more.

    @param path: a directory on the same file system.
    @raise OSError: it cannot be opened, or the limit stays.
    """
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _set_limits(directory, project, 0, 0)
    finally:
        os.close(directory)
