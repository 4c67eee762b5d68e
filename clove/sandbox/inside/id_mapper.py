"""Makes user namespaces that say which owner of files an agent's user stands for.

Run by a root kernel as `python -I -S id_mapper.py` with a socket as descriptor 0; it ends when the
kernel's end is closed. Each request is answered with a user namespace for mount_setattr(2),
MOUNT_ATTR_IDMAP. A child that has entered the next one is always ready; it does nothing else, and
ends when its namespace has been opened. Why the kernel does not do this by itself: only a process of
one thread can enter a user namespace (unshare(2)), and forks of the kernel are slow.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    _path = os.path.abspath(__file__)
    for _name in ("clove.sandbox.inside", "clove.sandbox", "clove"):
        _path = os.path.dirname(_path)
        _package = sys.modules[_name] = type(sys)(_name)
        _package.__path__ = [_path]

from clove.sandbox.inside import namespaces
from clove.sandbox.inside.control import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Holder", "answer", "id_map", "known_ids", "main"]

SOCKET = 0
"""The descriptor of the socket to the kernel."""


def id_map(owner: int, agent: int, known: Iterable[tuple[int, int]]) -> str:
    """The text of uid_map or gid_map: the owner's files are the agent's, all others stay as they are.

    What is the agent's id on disk is left out, as no two can be the same.

    @param owner: as the file system has it.
    @param agent: as the host has it.
    @param known: first and count of the ranges of ids that there are on this host.
    """
    lines = [f"{owner} {agent} 1"]
    for first, count in known:
        at, end = first, first + count
        for cut in sorted({owner, agent}):
            if at <= cut < end:
                if cut > at:
                    lines.append(f"{at} {at} {cut - at}")
                at = cut + 1
        if at < end:
            lines.append(f"{at} {at} {end - at}")
    return "".join(f"{line}\n" for line in lines)


def known_ids(name: str) -> list[tuple[int, int]]:
    """First and count of the ids of this process's own user namespace.

    @param name: `uid_map` or `gid_map`.
    """
    with open(f"/proc/self/{name}") as lines:
        fields = [line.split() for line in lines]
    return [(int(first), int(count)) for first, _, count in fields]


class Holder:
    """A child in a new user namespace, which has no map yet.

    @raise OSError: there can be none.
    """

    def __init__(self) -> None:
        entered, entering = os.pipe2(os.O_CLOEXEC)
        held, self._hold = os.pipe2(os.O_CLOEXEC)
        self._child = os.fork()
        if self._child == 0:
            os.close(self._hold)
            self._wait_inside(entering, held)
        os.close(entering)
        os.close(held)
        problem = int.from_bytes(os.read(entered, 4) or b"\x05", "little")
        os.close(entered)
        if problem:
            self.end()
            raise OSError(problem, os.strerror(problem), "user namespace")

    def _wait_inside(self, entering: int, held: int) -> None:
        """In the child: enter, and be there until the parent lets go."""
        problem = 0
        try:
            namespaces.enter({"user"})
        except OSError as error:
            problem = error.errno or 5
        os.write(entering, problem.to_bytes(4, "little"))
        os.read(held, 1)
        os._exit(0)

    def map_ids(self, maps: dict[str, str]) -> int:
        """Give it its map; a descriptor of the namespace.

        @param maps: text of `uid_map` and `gid_map`.
        @raise OSError: an id is not known on this host, and others of user_namespaces(7).
        """
        for name, text in maps.items():
            descriptor = os.open(f"/proc/{self._child}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)
        return os.open(f"/proc/{self._child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)

    def end(self) -> None:
        """End the child; the namespace stays as long as a descriptor of it does."""
        os.close(self._hold)
        os.waitpid(self._child, 0)


def answer(channel: Channel, message: dict[str, Any], holder: Holder | OSError) -> None:
    """Send what was asked for, or why not.

    @param message: `owner`, a user and a group id, and `agent`.
    """
    (uid, gid), agent = message["owner"], message["agent"]
    try:
        if isinstance(holder, OSError):
            raise holder
        maps = {
            "uid_map": id_map(uid, agent, known_ids("uid_map")),
            "gid_map": id_map(gid, agent, known_ids("gid_map")),
        }
        namespace = holder.map_ids(maps)
    except OSError as error:
        channel.send({"errno": error.errno})
        return
    channel.send({"errno": 0}, [namespace])
    os.close(namespace)


def main() -> None:
    """Answer until the kernel hangs up."""
    channel = Channel(SOCKET)
    while True:
        holder = _held()
        try:
            received = channel.receive()
            if received is None:
                return
            answer(channel, received[0], holder)
        finally:
            if isinstance(holder, Holder):
                holder.end()


def _held() -> Holder | OSError:
    try:
        return Holder()
    except OSError as error:
        return error


if __name__ == "__main__":
    os.setsid()  # signals of the kernel's terminal are the kernel's
    main()
