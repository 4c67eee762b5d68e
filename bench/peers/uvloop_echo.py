"""The asyncio server on uvloop: `python -m bench.peers.uvloop_echo SOCKET`, with a Python that has it."""

from __future__ import annotations

import asyncio
import importlib

from bench.peers.asyncio_echo import serve

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=importlib.import_module("uvloop").new_event_loop) as runner:
        runner.run(serve())
