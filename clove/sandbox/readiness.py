"""Waiting for a sandbox to be ready."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import TimeoutError as DeferredTimeout

from clove.errors import TimedOut
from clove.sandbox.running import Sandbox

__all__ = ["until_ready"]


async def until_ready(sandbox: Sandbox, reactor: Any, seconds: float) -> None:
    """Wait for the program to run; if it does not, wait until nothing is left.

    @raise TimedOut: it took longer than so many seconds.
    """
    sandbox.ready.addTimeout(seconds, reactor)
    try:
        await sandbox.ready
    except BaseException as error:
        sandbox.kill()
        if not isinstance(error, GeneratorExit):
            await sandbox.done
        if isinstance(error, DeferredTimeout):
            raise TimedOut(f"the sandbox was not ready within {seconds:g} seconds") from None
        raise
