"""The file `ids` of a state directory: up to where each kind of id is reserved.

It has two copies, each a line of JSON with its checksum, in a block of the disk of its own. They
are written in turn and in place: a kernel that is killed, or a machine that loses power, spoils
one at most, and a full disk is no hindrance. Every number that was ever given is below what the
other one says.
"""

from __future__ import annotations

import os
import stat
import zlib
from typing import Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import Unavailable
from clove.kernel.counter import Counter
from clove.kernel.ids import LOCAL_IDS
from clove.regular import write_whole
from clove.threads.threads import Threads

__all__ = ["IdFile"]

BLOCK: Final = 4096
RETRY: Final = 1.0
"""Seconds until what could not be written is tried again."""
AGENTS_AHEAD: Final = 4096
"""Ids of agents and connections that are reserved at a time: a killed kernel skips them."""
MOST_AHEAD: Final = 1 << 26
"""The same for ids of messages and of audit entries, of which there are 2**53."""
FEW: Final = 1 << 24
"""Ids of agents that are left when the log begins to warn of it."""


class Reserved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All ids below these may have been given."""

    agents: int = 1
    messages: int = 1
    audit: int = 1


class IdFile:
    """The counters, and the file.

    @ivar agents: of agents and connections; the lower half of what a header has room for.
    @ivar messages, audit: below 2**53, so that every JSON reader has them whole.
    """

    log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._copy = 0
        self._clock: IReactorTime | None = None
        self._threads: Threads | None = None
        self._writing: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._failing = False
        self._count(Reserved())

    def _count(self, begin: Reserved) -> None:
        most = 2**53 - 1
        self.agents = Counter("agents", begin.agents, LOCAL_IDS[-1], AGENTS_AHEAD, self._ask)
        self.messages = Counter("messages", begin.messages, most, MOST_AHEAD, self._ask)
        self.audit = Counter("audit entries", begin.audit, most, MOST_AHEAD, self._ask)

    # blocking

    def open(self) -> None:
        """Go on where earlier kernels ended, and reserve the first ranges. Blocking.

        @raise Unavailable: the file is damaged, or is not ours.
        @raise OSError: it cannot be read or written.
        """
        if not os.path.lexists(self._path):
            self._make()
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(self._path, flags)
        facts = os.fstat(self._file)
        ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid()
        copies = [self._read(number) for number in (0, 1)] if ours else []
        found = [copy for copy in copies if copy is not None]
        if not found:
            raise Unavailable(
                f"{self._path} does not say which ids were given before",
                hint="choose a new --state-dir; or remove the file, if nothing remembers an agent, "
                "a message or an audit entry of earlier kernels by its id",
            )
        # The copy that says more stays until the other one is written.
        newest = max(found, key=msgspec.structs.astuple)
        self._copy = 1 - copies.index(newest)
        self._count(newest)
        wanted = self._wanted()
        self._write(wanted)
        self._have(wanted)

    def _make(self) -> None:
        """Both copies are there from the start, or there is no file."""
        write_whole(self._path, 2 * _line(Reserved()))

    def _read(self, copy: int) -> Reserved | None:
        text, _, checksum = os.pread(self._file, BLOCK, copy * BLOCK).rstrip().rpartition(b" ")
        try:
            if int(checksum, 16) == zlib.crc32(text):
                return msgspec.json.decode(text, type=Reserved)
        except ValueError:
            pass
        return None

    def _write(self, reserved: Reserved) -> None:
        """Write one copy; the other one is the next."""
        if os.pwrite(self._file, _line(reserved), self._copy * BLOCK) != BLOCK:
            raise OSError("a part of the ids' file was written")
        os.fdatasync(self._file)
        self._copy ^= 1

    def finish(self) -> None:
        """The next kernel goes on with the numbers that were not given. Blocking."""
        given = Reserved(
            agents=self.agents.close(), messages=self.messages.close(), audit=self.audit.close()
        )
        if self._file >= 0:
            try:
                self._write(given)
                self._write(given)
            finally:
                os.close(self._file)
                self._file = -1

    # in a reactor that runs

    def start(self, clock: IReactorTime, threads: Threads) -> None:
        """Reserve more whenever that is needed."""
        self._clock = clock
        self._threads = threads

    async def stop(self) -> None:
        """Write what was given.

        @raise OSError: it could not be written; some numbers are skipped then.
        """
        threads, self._threads = self._threads, None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._writing is not None:
            await self._writing
        if threads is not None:
            await threads.run(self.finish)

    def _ask(self) -> None:
        if self._threads is not None and self._writing is None and self._retry is None:
            wanted = self._wanted()
            self._writing = self._threads.run(self._write, wanted)
            self._writing.addCallbacks(self._written, self._failed, callbackArgs=(wanted,))

    def _wanted(self) -> Reserved:
        return Reserved(
            agents=self.agents.wanted(), messages=self.messages.wanted(), audit=self.audit.wanted()
        )

    def _have(self, reserved: Reserved) -> None:
        self.agents.reserve(reserved.agents)
        self.messages.reserve(reserved.messages)
        self.audit.reserve(reserved.audit)
        if self.agents.left < FEW:
            self.log.warn(
                "{left} ids for agents and connections are left: then none can start or connect; "
                "begin with a new --state-dir before",
                left=self.agents.left,
            )

    def _written(self, _: None, reserved: Reserved) -> None:
        self._writing = None
        self._have(reserved)
        if self._failing:
            self._failing = False
            self.log.info("ids can be reserved on the disk again")

    def _failed(self, failure: Failure) -> None:
        self._writing = None
        if not self._failing:
            self._failing = True
            self.log.error(
                "no ids can be reserved on the disk: {reason}", reason=failure.getErrorMessage()
            )
        if self._threads is not None and self._clock is not None:
            self._retry = self._clock.callLater(RETRY, self._again)

    def _again(self) -> None:
        self._retry = None
        self._ask()


def _line(reserved: Reserved) -> bytes:
    text = msgspec.json.encode(reserved)
    return (b"%b %08x" % (text, zlib.crc32(text))).ljust(BLOCK - 1) + b"\n"
