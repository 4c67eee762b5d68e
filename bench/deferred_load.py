"""Load through our own Deferred client's connection: `python -m bench.deferred_load SOCKET SECONDS OUTSTANDING`.

It keeps so many NOOPs unanswered on one connection of version 2 and prints how many were answered.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred

from clove.client.deferred import DeferredClient
from clove.client.link import Link
from clove.framing import Opcode

reactor: Any = global_reactor
BODY = bytes(32)
answered = 0


def ask(link: Link) -> None:
    """One request, and the next when it is answered."""
    link.request(Opcode.NOOP, BODY).addCallbacks(lambda _: count(link), lambda _: None)


def count(link: Link) -> None:
    """A reply."""
    global answered
    answered += 1
    ask(link)


async def run(path: str, seconds: float, outstanding: int) -> None:
    """Connect, ask for a while, and print."""
    client = DeferredClient(reactor, path)
    await client.connect()
    link = await client._connection.live_link()
    reactor.callLater(seconds, end)
    for _ in range(outstanding):
        ask(link)


def end() -> None:
    """Print, and end without more ado."""
    print(json.dumps({"answered": answered}), flush=True)
    reactor.stop()


if __name__ == "__main__":
    work = run(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    reactor.callWhenRunning(Deferred.fromCoroutine, work)
    reactor.run()
