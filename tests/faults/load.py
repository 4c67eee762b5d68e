"""Requests while relays are killed, and what became of each."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from clove import CloveClient
from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.faults.stage import Stage

__all__ = ["Load"]

AGAIN = frozenset(("connection_lost", "unavailable", "timeout"))
"""Codes of errors after which a client may try again."""
SINK = "sink"
SCRIPT = "print('done')"


class Load:
    """Threads that ask, and what they were told.

    @ivar deployed: agents by idempotency key, of deploys that were acknowledged; each is asked until it is.
    @ivar asked: everything that was asked, by kind and number.
    @ivar acknowledged: of these, what was; what was not may have been executed, once.
    @ivar received: how often each message came.
    @ivar errors: that clients saw, by kind and code.
    @ivar wrong: errors that do not say that one may try again.
    """

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._dice = random.Random(seed)
        self._ending = threading.Event()
        self._done = threading.Event()
        self.deployed: dict[str, int] = {}
        self.asked: dict[str, set[str]] = {"store": set(), "send": set(), "deploy": set()}
        self.acknowledged: dict[str, set[str]] = {"store": set(), "send": set()}
        self.received: Counter[str] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        works = [self._deploy] * 2 + [self._store] * 4 + [self._send] * 2
        self._threads = [
            threading.Thread(target=self._guarded, args=(work, number), daemon=True)
            for number, work in enumerate(works)
        ]
        receive = (lambda number: self._receive(), 0)
        self._sink = threading.Thread(target=self._guarded, args=receive, daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        self._sink.start()
        assert self._ready.wait(30)
        for each in self._threads:
            each.start()

    def finish(self) -> None:
        """Ask nothing new; wait until what is to be acknowledged is, and the rest has come."""
        self._ending.set()
        for each in self._threads:
            each.join(120)
            if each.is_alive():
                self.wrong.append("a client is not served though all is back")
        self._done.set()
        self._sink.join(30)

    def _guarded(self, work: Callable[[int], object], number: int) -> None:
        try:
            work(number)
        except Exception as error:
            self.wrong.append(f"a client has failed: {error!r}")

    def _tried(self, kind: str, call: Callable[[], object]) -> bool:
        """Make a call; whether it was acknowledged."""
        try:
            call()
        except CloveError as error:
            self.errors[kind, error.code] += 1
            if error.code not in AGAIN:
                self.wrong.append(f"{kind}: {error.code}: {error}")
            time.sleep(0.1)
            return False
        return True

    def _deploy(self, thread: int) -> None:
        count = 0
        while not self._ending.is_set():
            key = f"d{thread}-{count}"
            count += 1
            self.asked["deploy"].add(key)
            end = time.monotonic() + 100
            while not self._tried("deploy", lambda: self._deploy_once(key)):  # noqa: B023 called at once
                if time.monotonic() > end:
                    self.wrong.append(f"{key} is not acknowledged")
                    return
            time.sleep(0.05)

    def _deploy_once(self, key: str) -> None:
        node = self._dice.choice(self._stage.nodes)
        found = node.rest(self._stage.admin).deploy(
            "one", "a.py", SCRIPT, name=key, idempotency_key=key
        )
        self.deployed[key] = int(found["agent_id"])

    def _store(self, thread: int) -> None:
        self._ask("store", thread, lambda client, name: client.store(name, name))

    def _send(self, thread: int) -> None:
        self._ask("send", thread, lambda client, name: client.send_message(name, to_name=SINK))

    def _ask(self, kind: str, thread: int, ask: Callable[[RemoteClient, str], object]) -> None:
        """Each request has a name of its own, and is made once, whatever comes of it."""
        count = 0
        while not self._ending.is_set():
            client = self._dice.choice(self._stage.nodes).agent(self._stage.token)
            going = self._tried("connect", client.connect)
            while going and not self._ending.is_set():
                name = f"{kind}-{thread}-{count}"
                count += 1
                self.asked[kind].add(name)
                going = self._tried(kind, lambda: ask(client, name))  # noqa: B023 called at once
                if going:
                    self.acknowledged[kind].add(name)
                time.sleep(0.03)
            client.close()

    def _receive(self) -> None:
        with CloveClient(self._stage.kernel.socket) as client:
            client.register_name(SINK)
            self._ready.set()
            while True:
                done = self._done.is_set()
                found = client.recv_messages(max=100, wait=0.2)["messages"]
                self.received.update(str(each["message"]) for each in found)
                if done and not found:
                    return
