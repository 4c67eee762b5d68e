"""Notices when the mounts that this process sees become others."""

from __future__ import annotations

import contextlib
import os
import select

__all__ = ["MountWatch"]


class MountWatch:
    """Looks from its making on, without waiting (proc_pid_mounts(5): poll(2))."""

    def __init__(self) -> None:
        self._fd = -1
        self._changed = False
        self._poll = select.poll()
        with contextlib.suppress(OSError):
            self._fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            self._poll.register(self._fd, select.POLLPRI)
            self._poll.poll(0)

    def changed(self) -> bool:
        """Something was mounted, moved or unmounted since; true if that is not known."""
        if not self._changed:  # the operating system says it once
            self._changed = self._fd < 0 or bool(self._poll.poll(0))
        return self._changed

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            self._poll.unregister(self._fd)
            os.close(self._fd)
            self._fd = -1
