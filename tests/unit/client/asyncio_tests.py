"""What the tests of the asyncio client share: a loop for each, and a kernel that answers little."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from clove.client.aio import AsyncClient
from clove.framing import Opcode
from tests.unit.client.echoing import echo

__all__ = ["SECONDS", "connected", "holding", "one_piece", "run", "until", "until_asked"]

SECONDS = 60.0


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on an event loop of its own, for a time."""
    asyncio.run(asyncio.wait_for(test, SECONDS))


def holding(ask: Any) -> Any:
    """Answer NOOPs alone."""
    return echo(ask) if ask.opcode == Opcode.NOOP else None


def one_piece(ask: Any) -> Any:
    """Begin streams, and answer NOOPs."""
    if ask.opcode != Opcode.NOOP:
        ask.reply({"success": True, "content": "first", "stdout": "first"}, more=True)
    return holding(ask)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread, or the loop's next turns, will make true."""
    for _ in itertools.takewhile(lambda _: not condition(), itertools.count()):
        await asyncio.sleep(0.001)


async def until_asked(peer: Any, name: str, times: int = 1) -> None:
    """Wait until the peer has got a request."""
    await until(lambda: peer.opcodes().count(name) >= times)


@contextlib.asynccontextmanager
async def connected(peer: Any, answer: Any = holding, **options: Any) -> AsyncIterator[AsyncClient]:
    peer.answer = answer
    async with AsyncClient(peer.path, **options) as client:
        yield client
