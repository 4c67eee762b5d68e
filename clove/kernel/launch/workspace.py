"""An agent's directories. Blocking functions; they run in threads.

Nothing is created or chowned through a path that an agent can write (attacks.md, rows 5 and 6).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clove.errors import IsolationUnavailable
from clove.kernel.state_dir import make_directories
from clove.removal import remove_tree

if TYPE_CHECKING:
    from clove.kernel.state_dir import StateDir

__all__ = ["Workspace"]


def _chown(path: str, uid: int) -> None:
    """Make it a user's own.

    @raise IsolationUnavailable: no such user id is mapped here (user_namespaces(7)).
    """
    try:
        os.chown(path, uid, uid, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise IsolationUnavailable(
            f"agents of a root kernel have users of their own, and user id {uid} is not mapped "
            "in this container",
            hint="set limits.agents.uid_base to where 65536 user ids are mapped (see "
            "/proc/self/uid_map), or run the kernel as an ordinary user; clove doctor says more",
        ) from None


def _make_mount_point(home: str, name: str, *, is_directory: bool) -> None:
    """Something to mount upon, in a directory that is still ours alone."""
    path = f"{home}/{name}"
    os.makedirs(path if is_directory else os.path.dirname(path), mode=0o755, exist_ok=True)
    if not is_directory:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o444))


@dataclass(frozen=True, slots=True)
class Workspace:
    """One agent's directories.

    @ivar home: its working directory.
    @ivar script: the copy of its script, in a directory that a command leaves empty.
    @ivar socket: its socket.
    """

    root: str
    home: str
    script: str
    socket: str

    @classmethod
    def of_agent(cls, state_dir: StateDir, agent_id: int, script_name: str) -> Workspace:
        """The directories of one agent, which need not be there yet."""
        root = state_dir.agent(agent_id)
        return cls(
            root=root,
            home=os.path.join(root, "workspace"),
            script=os.path.join(root, "app", script_name),
            socket=state_dir.socket(agent_id),
        )

    def create(
        self,
        source: bytes | None,
        uid: int | None,
        ahead: str | None = None,
        mount_points: Mapping[str, bool] | None = None,
    ) -> None:
        """Make the directories and the script's copy.

        @param source: the script; None: there is none.
        @param uid: the user id that the agent runs under if it is not ours.
        @param ahead: directories made ahead (L{StateDir.make_ahead}).
        @param mount_points: paths in the working directory, and whether they are
            directories. They are made before anybody else can reach it.
        @raise IsolationUnavailable: there is no such user id in this user namespace.
        """
        if ahead is not None:
            os.rename(ahead, self.root)
        else:
            make_directories(self.root)
        if source is not None:
            self._copy_script(source)
        for path, is_directory in (mount_points or {}).items():
            _make_mount_point(self.home, path, is_directory=is_directory)
        if uid is not None:
            _chown(self.home, uid)

    def _copy_script(self, source: bytes) -> None:
        handle = os.open(self.script, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o444)
        with open(handle, "wb") as file:
            file.write(source)
            os.fchmod(file.fileno(), 0o444)

    def remove(self) -> None:
        """Remove everything, links not followed. Idempotent.

        @raise OSError: something is still there.
        """
        with contextlib.suppress(OSError):
            os.unlink(self.socket)
        remove_tree(self.root)
