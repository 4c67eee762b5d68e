"""Any sequence of stores, deletes and time against plain dictionaries."""

from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import Raw
from twisted.internet.task import Clock

from clove.errors import AlreadyExists, LimitExceeded
from clove.kernel.state import StateLimits, StateStore
from clove.sharing.shares import ShareLimits

AGENTS = st.integers(1, 2)
KEYS = st.sampled_from(["a", "ab", "b", "ä"])
SCOPES: Any = st.sampled_from(["agent", "session", "global"])
WHOLE = ShareLimits(family=1, family_memory=1, operators=0)
LIMITS = StateLimits(max_agent_keys=6, max_keys=9, max_tombstones=3, max_swept=2)
Place = tuple[str, int, str]


class StateModel(RuleBasedStateMachine):
    """The model: (scope, owner, key) to (value, version, expires, writer)."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = StateStore(self.clock, LIMITS, shares=WHOLE)
        self.model: dict[Place, tuple[bytes, int, float, int]] = {}
        self.highest: dict[Place, int] = {}
        self.dead: set[int] = set()
        self.count = 0

    def place(self, agent: int, scope: str, key: str) -> Place:
        return scope, agent if scope == "agent" else 0, key

    def forget_expired(self) -> None:
        now = self.clock.seconds()
        self.model = {place: entry for place, entry in self.model.items() if entry[2] > now}

    def look_up(self, agent: int, key: str) -> Place | None:
        places = [self.place(agent, scope, key) for scope in ("agent", "session", "global")]
        return next((place for place in places if place in self.model), None)

    @rule(
        agent=AGENTS,
        key=KEYS,
        scope=SCOPES,
        ttl=st.none() | st.floats(0.5, 20),
        if_version=st.none() | st.integers(0, 3),
    )
    def put(
        self, agent: int, key: str, scope: Any, ttl: float | None, if_version: int | None
    ) -> None:
        self.count += 1
        value = b"%d" % self.count
        place = self.place(agent, scope, key)
        old = self.model.get(place)
        try:
            version = self.store.store(agent, key, Raw(value), scope, ttl, if_version)
        except AlreadyExists:
            assert if_version != (0 if old is None else old[1])
            return
        except LimitExceeded:
            own = sum(entry[3] == agent for entry in self.model.values())
            new = old is None or old[3] != agent
            assert (new and own >= LIMITS.max_agent_keys) or (
                old is None and len(self.model) >= LIMITS.max_keys
            )
            return
        assert if_version in (None, 0 if old is None else old[1])
        if old is not None:
            assert version == old[1] + 1
        assert version > self.highest.get(place, 0)
        self.highest[place] = version
        expires = inf if ttl is None else self.clock.seconds() + ttl
        self.model[place] = (value, version, expires, agent)

    @rule(agent=AGENTS, key=KEYS)
    def get(self, agent: int, key: str) -> None:
        place = self.look_up(agent, key)
        found = self.store.fetch(agent, key)
        if place is None:
            assert found is None
        else:
            assert found is not None
            value, version, _, _ = self.model[place]
            assert (bytes(found.value), found.version, found.scope) == (value, version, place[0])

    @rule(agent=AGENTS, key=KEYS)
    def delete(self, agent: int, key: str) -> None:
        place = self.look_up(agent, key)
        assert self.store.delete(agent, key) == (place is not None)
        if place is not None:
            del self.model[place]

    @rule(agent=AGENTS, prefix=st.sampled_from(["", "a", "ab", "b", "x"]))
    def keys(self, agent: int, prefix: str) -> None:
        wanted = {
            key
            for scope, owner, key in self.model
            if key.startswith(prefix) and (scope != "agent" or owner == agent)
        }
        assert self.store.keys(agent, prefix) == (sorted(wanted), False)

    @rule(seconds=st.floats(0.1, 10))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.forget_expired()

    @rule(agent=AGENTS)
    def close(self, agent: int) -> None:
        self.store.close(agent)
        self.model = {
            place: entry if entry[3] != agent else (*entry[:3], -1)
            for place, entry in self.model.items()
            if place[:2] != ("agent", agent)
        }
        self.highest = {p: v for p, v in self.highest.items() if p[:2] != ("agent", agent)}

    @invariant()
    def charges_cover_what_is_there(self) -> None:
        usage = self.store.usage
        assert len(self.model) <= usage.keys <= LIMITS.max_keys
        assert (usage.keys == 0) == (usage.size == 0)
        assert len(self.store._spaces._tombstones) <= LIMITS.max_tombstones

    def teardown(self) -> None:
        self.clock.pump([1.0] * 60)
        self.forget_expired()
        assert self.store.usage.keys == len(self.model)
        assert self.clock.getDelayedCalls() == []


StateModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
TestStateModel = StateModel.TestCase
