"""The operator beside: starts what is hostile again and again, spawns and kills, and takes the time."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clove import CloveClient
from clove.errors import CloveError
from tests.soak.hostile import TABLE
from tests.soak.verdict import Seen

__all__ = ["HOSTILE", "Operator"]

HOSTILE = 5
"""Hostile agents at a time."""
PAUSE = 0.25
"""Seconds between two things that the operator does."""


class Operator:
    """@param scripts: the programs that agents run, by name.
    @param facts: what hostile agents are told, beside a seed of their own.
    """

    def __init__(
        self,
        client: CloveClient,
        seen: Seen,
        dice: random.Random,
        scripts: dict[str, Path],
        facts: dict[str, Any],
    ) -> None:
        self._client = client
        self._seen = seen
        self._dice = dice
        self._scripts = scripts
        self._facts = facts
        self._numbers = itertools.count()
        self._hostile = [""] * HOSTILE
        self._order = list(facts["only"]) or sorted(TABLE)  # so that none is long untried
        dice.shuffle(self._order)

    def healthy(self, script: str, *arguments: str, **fields: Any) -> int:
        """Start an agent that does nothing wrong; its id."""
        reply = self._client.spawn(
            script, str(self._scripts[script]), args=list(arguments), **fields
        )
        return int(reply["id"])

    def printed(self, agent: int) -> dict[str, Any]:
        """What a healthy agent has printed at its end; {} and an error when it has not."""
        try:
            self._client.wait(agent, timeout=60)
            lines = self._client.logs(agent)["lines"]
        except CloveError as error:
            self._seen.errors.append(f"end of a healthy agent: {error}")
            return {}
        text = "".join(line["text"] for line in lines)
        try:
            found: dict[str, Any] = json.loads(text.splitlines()[-1])
        except (ValueError, IndexError):
            self._seen.errors.append(f"a healthy agent said: {text[-500:]}")
            return {}
        return found

    def act(self) -> None:
        """One thing, by chance; also see to it that there are enough that are hostile."""
        alive = {agent["name"] for agent in self._ask(self._client.list_agents) or []}
        for slot, name in enumerate(self._hostile):
            if name not in alive:
                self._start_hostile(slot)
        self._dice.choice([self._short_lived, self._short_lived, self._look, self._kill_hostile])()
        time.sleep(PAUSE)

    def _start_hostile(self, slot: int) -> None:
        self._hostile[slot] = f"hostile-{slot}-{next(self._numbers)}"
        own = {"seed": self._dice.getrandbits(64), "first": self._order[slot::HOSTILE]}
        facts = json.dumps({**self._facts, **own})
        rules = {"allowed_paths": ["/workspace"], "allowed_domains": self._facts["domains"]}
        powers = {"can_spawn": True, "can_http": True, "can_exec": True, "can_think": True}
        self._spawn(
            self._hostile[slot],
            "hostile",
            args=[facts],
            permissions={**rules, **powers},
            network=True,
            warm=self._dice.random() < 0.5,
        )

    def _short_lived(self) -> None:
        name = f"short-{next(self._numbers)}"
        if self._spawn(name, "short"):
            self._kill(name)

    def _kill_hostile(self) -> None:
        if self._dice.random() < 0.2:
            self._kill(self._dice.choice(self._hostile))

    def _look(self) -> None:
        client = self._client
        self._ask(lambda: client.read_file(str(self._scripts["short"])))
        self._ask(lambda: client.exec(["echo", "fine"], timeout=20))
        self._ask(lambda: client.store("operator", 1))
        self._ask(lambda: client.get_audit_log(limit=10))

    def _spawn(self, name: str, script: str, **fields: Any) -> bool:
        path = str(self._scripts[script])
        with self._timed(self._seen.spawns):
            return bool(self._ask(lambda: self._client.spawn(name, path, **fields)))

    def _kill(self, name: str) -> None:
        with self._timed(self._seen.kills), contextlib.suppress(CloveError):
            self._client.kill(name)

    @contextlib.contextmanager
    def _timed(self, into: list[float]) -> Iterator[None]:
        start = time.monotonic()
        yield
        into.append(time.monotonic() - start)

    def _ask(self, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except CloveError as error:
            self._seen.errors.append(f"{type(error).__name__}: {error}"[:300])
            return None
