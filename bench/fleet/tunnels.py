"""A process with many simulated tunnels, which does what its standard input says.

`python -m bench.fleet.tunnels JSON`, with the fields of L{Job}. Lines in: `fill` (connect those that are
not, some at a time), `cut`, `storm` (all of them at once), `again` (connect again whenever one is cut, with a kernel's
back-off), `report`. To each one line of JSON is the answer, when it has been done. It ends with its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
import ssl
import sys
import time
from typing import Any

import msgspec

from bench.fleet.tunnel import Tunnel
from clove.tunnel.backoff import Backoff

__all__ = ["Job", "Tunnels"]

AT_ONCE = 32
"""Connections that are being made while it fills."""
OF_ADDRESS = 5000
"""Tunnels from one loopback address, which has some 28,000 ports."""
GIVE_UP = 120.0
OTHERS = 64


class Job(msgspec.Struct, forbid_unknown_fields=True):
    """What to connect, and where to."""

    port: int
    first: int
    count: int
    ca_file: str = ""
    bare: bool = False


class Tunnels:
    """Those of this process."""

    def __init__(self, loop: Any, job: Job) -> None:
        self._loop = loop
        self._job = job
        self._tls = ssl.create_default_context(cafile=job.ca_file) if job.ca_file else None
        numbers = range(job.first, job.first + job.count)
        self._all = [Tunnel(loop, one, bare=job.bare, changed=self._changed) for one in numbers]
        self._missing = job.count
        self._complete = asyncio.Event()
        self._settled: dict[Tunnel, asyncio.Future[None]] = {}
        self._back: list[float] = []
        self._storm = 0.0
        self._again = False
        self._tasks: set[asyncio.Task[None]] = set()

    def _changed(self, tunnel: Tunnel, gained: int) -> None:
        self._missing -= gained
        settled = self._settled.pop(tunnel, None)
        if settled is not None:
            settled.set_result(None)
        if gained > 0:
            self._back.append(time.monotonic() - self._storm)
            if not self._missing:
                self._complete.set()
        elif self._again:
            self._start(self._return(tunnel))

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, tunnel: Tunnel) -> None:
        source = f"127.1.{tunnel.number // OF_ADDRESS}.1"
        await self._loop.create_connection(
            lambda: tunnel,
            "127.0.0.1",
            self._job.port,
            ssl=self._tls,
            server_hostname="127.0.0.1" if self._tls else None,
            local_addr=(source, 0),
        )

    async def _return(self, tunnel: Tunnel) -> None:
        """As a kernel does: until it is in, and one that is refused is cut again."""
        backoff = Backoff(random.random)
        while True:
            await asyncio.sleep(backoff.next_pause())
            with contextlib.suppress(OSError):
                await self._dial(tunnel)
                return

    def _recount(self) -> None:
        self._missing = sum(not one.connected for one in self._all)
        self._complete.clear()
        if not self._missing:
            self._complete.set()

    async def fill(self) -> None:
        """Connect those that are not."""
        self._recount()
        queue = [one for one in self._all if not one.connected]

        async def some() -> None:
            while queue:
                tunnel = queue.pop()
                settled = self._settled[tunnel] = self._loop.create_future()
                await self._dial(tunnel)
                await settled

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        await self._all_there()

    async def storm(self) -> None:
        """All that are not connected dial in the same moment; one that fails as a kernel would."""
        self._recount()
        self._back.clear()
        self._storm = time.monotonic()
        self._again = True
        away = [one for one in self._all if not one.connected]
        for tunnel, result in zip(
            away,
            await asyncio.gather(*map(self._dial, away), return_exceptions=True),
            strict=True,
        ):
            if isinstance(result, BaseException):
                self._start(self._return(tunnel))
        await self._all_there()
        self._again = False

    async def again(self) -> None:
        """From now on those that are cut connect again by themselves."""
        self._again = True

    async def cut(self) -> None:
        """Cut all."""
        there = [tunnel for tunnel in self._all if tunnel.connected]
        for tunnel in there:
            self._settled[tunnel] = self._loop.create_future()
        cut = [*self._settled.values()]
        for tunnel in there:
            tunnel.abort()
        await asyncio.gather(*cut)

    async def report(self) -> None:
        """Nothing is done."""

    async def _all_there(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._complete.wait(), GIVE_UP)

    def facts(self) -> dict[str, Any]:
        """What is printed after each command."""
        return {
            "connected": sum(one.connected for one in self._all),
            "least_pongs": min(one.pongs for one in self._all),
            "refused": sorted({one.refused for one in self._all if one.refused}),
            "last_back": max(self._back, default=0.0),
        }


async def _serve(job: Job) -> None:
    loop = asyncio.get_running_loop()
    tunnels = Tunnels(loop, job)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    commands = {
        name: getattr(tunnels, name) for name in ("fill", "cut", "storm", "again", "report")
    }
    while line := await reader.readline():
        await commands[line.decode().strip()]()
        print(json.dumps(tunnels.facts()), flush=True)


def main() -> None:
    """Be such a process."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    wanted = job.count + OTHERS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"{job.count} tunnels need {wanted} descriptors (ulimit -Hn): {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    asyncio.run(_serve(job))


if __name__ == "__main__":
    main()
