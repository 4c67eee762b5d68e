"""User namespaces for mounts on which an owner's files are an agent's, and their descriptors.

What they are for and who may ask is in docs/owners.md. Blocking; used in threads.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

from clove.sandbox.inside.control import packets
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["IdMaps", "MapDescriptors"]

MAPPER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside", "id_mapper.py")
KEPT: Final = 32
"""Namespaces that are kept open: those of a start are asked for twice."""
PATIENCE: Final = 10.0
"""Seconds in which the mapper must answer."""
ANSWER: Final = 4096
"""Bytes of an answer, at most."""


class IdMaps:
    """Makes the namespaces, by a process that it starts when it is first asked.

    @param python: the interpreter that runs it.
    """

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self._lock = threading.Lock()  # for all that follows
        self._kept: OrderedDict[tuple[int, int, int], int] = OrderedDict()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._closed = False

    def open_map(self, owner: tuple[int, int], agent: int) -> int:
        """A descriptor of the namespace in which an owner's files are an agent's.

        @param owner: user and group id of the files.
        @param agent: the agent's user and group id.
        @return: the caller closes it.
        @raise OSError: it cannot be had.
        """
        key = (*owner, agent)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._ask(owner, agent)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                os.close(self._kept.popitem(last=False)[1])
            return os.dup(self._kept[key])

    def _ask(self, owner: tuple[int, int], agent: int) -> int:
        mapper = self._started()
        try:
            mapper.sendall(packets({"owner": list(owner), "agent": agent})[0])
            text, descriptors, _, _ = socket.recv_fds(mapper, ANSWER, 1)
            problem = json.loads(text[1:])["errno"] if text else errno.EIO
        except (OSError, ValueError, KeyError) as error:  # the next one asks another process
            self._end_process()
            raise OSError(errno.EIO, f"the id mapper does not answer: {error}") from None
        if not text:
            self._end_process()
        if problem or not descriptors:
            number = problem or errno.EMFILE
            raise OSError(number, os.strerror(number), "id map")
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]

    def _started(self) -> socket.socket:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, os.strerror(errno.ESHUTDOWN))
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.settimeout(PATIENCE)
            with theirs:
                self._process = subprocess.Popen(
                    [self._python, "-I", "-S", MAPPER],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={},
                    cwd="/",
                )
            self._socket = ours
        return self._socket

    def _end_process(self) -> None:
        """It ends by itself when its socket does."""
        process, self._process = self._process, None
        ours, self._socket = self._socket, None
        if ours is not None:
            ours.close()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)

    def close(self) -> None:
        """End the process, and close what is kept."""
        with self._lock:
            self._closed = True
            self._end_process()
            while self._kept:
                os.close(self._kept.popitem()[1])


class MapDescriptors:
    """Descriptors of the namespaces that the mounts of one sandbox need, until L{close}.

    @ivar descriptors: to be sent.
    """

    def __init__(self, maps: IdMaps | None = None) -> None:
        self.descriptors: list[int] = []
        self._maps = maps
        self._numbers: dict[tuple[int, int], int] = {}

    def open_maps(self, binds: Iterable[Bind], agent: int | None) -> None:
        """Open those that are missing. Blocking.

        @param agent: the agent's user id; None: none of the binds has an owner.
        @raise OSError: one cannot be had.
        """
        for bind in binds:
            if bind.owner is None or bind.owner.ids in self._numbers:
                continue
            if self._maps is None or agent is None:
                raise OSError(errno.EPERM, "only a root kernel maps owners", bind.source)
            descriptor = self._maps.open_map(bind.owner.ids, agent)
            self._numbers[bind.owner.ids] = len(self.descriptors)
            self.descriptors.append(descriptor)

    def of_bind(self, bind: Bind) -> int:
        """The descriptor for a bind; -1: its owners stay what they are."""
        return -1 if bind.owner is None else self.descriptors[self._numbers[bind.owner.ids]]

    def describe(self, spec: SandboxSpec) -> dict[str, Any]:
        """The binds of a spec as the helper reads them, with the number of each one's descriptor."""
        if not self.descriptors:
            return {}
        return {"binds": [self._describe(bind) for bind in spec.binds]}

    def _describe(self, bind: Bind) -> dict[str, Any]:
        if bind.owner is None:
            return bind.to_json()
        return {**bind.to_json(), "id_map": self._numbers[bind.owner.ids]}

    def close(self) -> None:
        """The messages have their own copies. Idempotent."""
        while self.descriptors:
            os.close(self.descriptors.pop())
        self._numbers.clear()
