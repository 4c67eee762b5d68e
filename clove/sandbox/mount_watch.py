"""Notices when the mounts that this process sees become others."""

from __future__ import annotations

import contextlib
import os
import select

__all__ = ["MountWatch"]


class MountWatch:
    """Asks the operating system without waiting (proc_pid_mounts(5): poll(2))."""

    def __init__(self) -> None:
        self._fd = -1
        self._poll = select.poll()

    def renew(self) -> None:
        """Count from now on."""
        self.close()
        with contextlib.suppress(OSError):
            self._fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            self._poll.register(self._fd, select.POLLPRI)
            self._poll.poll(0)

    def changed(self) -> bool:
        """Something was mounted, moved or unmounted since; true if that is not known."""
        return self._fd < 0 or bool(self._poll.poll(0))

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            self._poll.unregister(self._fd)
            os.close(self._fd)
            self._fd = -1
