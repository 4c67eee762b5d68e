"""The kernel's own directory, and agents' directories in it. Blocking functions; they run in threads::

    STATE_DIR/run/ID.sock         the agent's own socket
    STATE_DIR/agents/ID/workspace its working directory, its own in a sandbox
    STATE_DIR/agents/ID/app/NAME  a read-only copy of its script
    STATE_DIR/logs/NAME.log       its output, rotated
    STATE_DIR/audit/security.log  refusals and the lives of agents, rotated
    STATE_DIR/ids                 which ids were given, so that none comes again
    STATE_DIR/blank/              an empty directory and file, mounted over what is blocked
    STATE_DIR/authorities.pem     certificates that sandboxes trust, where the configuration has some
    STATE_DIR/spare/N             directories for an agent to come

All directories are 0700 and ours; whatever else lies at these paths is refused
(attacks.md, rows 5 and 6). Nothing is created or chowned through a path that an
agent can write.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import queue
import stat
from collections.abc import Mapping

import msgspec

from clove.errors import InvalidRequest, IsolationUnavailable, Unavailable
from clove.removal import remove_tree

__all__ = ["SOCKET_PATH_LIMIT", "StateDir", "Workspace"]

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path (unix(7): sun_path)."""


def _private_directory(path: str) -> None:
    """Make a 0700 directory, or check that the one there is ours and private.

    @raise Unavailable: it belongs to somebody else, or is not a directory.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    facts = os.lstat(path)
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise Unavailable(
            f"{path} is not a directory of the kernel's own user",
            hint="choose another --state-dir, or remove it",
        )
    if stat.S_IMODE(facts.st_mode) & 0o077:
        os.chmod(path, 0o700)


def _make_directories(root: str) -> None:
    """What every workspace begins with."""
    os.mkdir(root, 0o700)
    os.mkdir(os.path.join(root, "workspace"), 0o700)
    os.mkdir(os.path.join(root, "app"), 0o755)


class StateDir:
    """The kernel's own directory.

    @ivar path: absolute.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._prepared: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._numbers = itertools.count()

    def claim(self) -> None:
        """Make the directory itself, or check the one there; nothing is made in it yet.

        @raise Unavailable: it belongs to somebody else, or is a link.
        @raise InvalidRequest: the path is too long for sockets in it.
        """
        if len(os.fsencode(os.path.join(self.path, "run", "4294967295.sock"))) > SOCKET_PATH_LIMIT:
            raise InvalidRequest(
                f"the state directory {self.path} is too long for Unix sockets in it",
                hint="choose a shorter --state-dir (at most 87 bytes)",
            )
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        _private_directory(self.path)

    def prepare(self) -> None:
        """Make what belongs into it, and clear what a dead kernel left there.

        @raise Unavailable, InvalidRequest: see L{claim}; or so is a directory in it.
        """
        self.claim()
        self.clear()
        for name in ("run", "agents", "logs", "audit", "blank", "spare"):
            _private_directory(os.path.join(self.path, name))
        os.mkdir(self.blank_directory)
        os.chmod(self.blank_directory, 0o555)  # noqa: S103 empty, below a private one
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        os.close(os.open(self.blank_file, flags, 0o000))

    def clear(self) -> None:
        """Remove what does not outlive the kernel; logs stay, and what ids were given."""
        for name in ("run", "agents", "blank", "spare"):
            with contextlib.suppress(OSError):
                remove_tree(os.path.join(self.path, name))

    @property
    def authorities(self) -> str:
        """Certificates in PEM, if L{keep_authorities} has written some."""
        return os.path.join(self.path, "authorities.pem")

    def keep_authorities(self, text: str) -> None:
        """Write certificates into a file that all sandboxes may read."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.authorities)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.authorities, flags, 0o644), "w") as file:
            os.fchmod(file.fileno(), 0o644)  # whatever the umask
            file.write(text)

    @property
    def blank_directory(self) -> str:
        """An empty directory that can be listed."""
        return os.path.join(self.path, "blank", "directory")

    @property
    def blank_file(self) -> str:
        """An empty file that can not be opened."""
        return os.path.join(self.path, "blank", "file")

    def make_ahead(self) -> None:
        """Make directories for an agent to come, if there are none yet. For a thread.

        Making files is what disks are slow at, and somebody waits for an agent.
        """
        if self._prepared.empty():
            root = os.path.join(self.path, "spare", str(next(self._numbers)))
            _make_directories(root)
            self._prepared.put(root)

    def take_made_ahead(self) -> str | None:
        """Such directories, if there are any. For a thread."""
        with contextlib.suppress(queue.Empty):
            return self._prepared.get_nowait()
        return None

    def socket(self, agent_id: int) -> str:
        """Where an agent's own socket is."""
        return os.path.join(self.path, "run", f"{agent_id}.sock")

    def agent(self, agent_id: int) -> str:
        """Where an agent's own directories are."""
        return os.path.join(self.path, "agents", str(agent_id))

    @property
    def security_log(self) -> str:
        """Where refusals and the lives of agents are recorded."""
        return os.path.join(self.path, "audit", "security.log")

    @property
    def ids(self) -> str:
        """Where it is kept up to where ids were given (L{clove.kernel.id_file})."""
        return os.path.join(self.path, "ids")

    @property
    def logs(self) -> str:
        """Where agents' output goes, a file for each name."""
        return os.path.join(self.path, "logs")


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


class Workspace(msgspec.Struct, frozen=True):
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
            _make_directories(self.root)
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
