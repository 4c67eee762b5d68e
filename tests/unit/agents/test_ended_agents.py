"""Which ended agents are remembered, and whose output is."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, succeed

from clove.kernel.agents.agent import Agent
from clove.kernel.agents.ended_agents import EndedAgents
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.logbook import Logbook
from clove.kernel.logs.tail import PIECE
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level
from clove.sharing.shares import ShareLimits
from clove.threads.threads import Threads

WHOLE = ShareLimits(family=1, family_memory=1)


class _File:
    def append(self, data: bytes) -> None:
        pass


class _Pool:
    def run(self, function: Any, *args: Any) -> Deferred[Any]:
        return succeed(function(*args))


class _Ended:
    """As much of an agent as is looked at."""

    def __init__(self, agent_id: int, output: bytes, name: str = "a", family: int = 0) -> None:
        self.agent_id = agent_id
        self.principal = Principal(agent_id, Kind.AGENT, for_level(Level.STANDARD), family=family)
        self.name = name
        file: Any = _File()
        self.logbook = Logbook(file, cast("Threads", _Pool()), LogLimits(), lambda: 0.0)
        self.logbook.append_output(1, output)
        self.logbook.close()


def ended(agent_id: int, output: bytes = b"", name: str = "a", family: int = 0) -> Agent:
    return cast("Agent", _Ended(agent_id, output, name, family))


def test_the_oldest_are_forgotten() -> None:
    kept = EndedAgents(2, 1 << 20)
    agents = [ended(number) for number in (1, 2, 3)]
    for agent in agents:
        kept.add(agent)
    assert kept.get(1) is None
    assert kept.get(2) is agents[1]
    assert kept.get(3) is agents[2]


def test_of_one_name_the_latest_is_found() -> None:
    kept = EndedAgents(9, 1 << 20)
    first, second, other = ended(1), ended(2), ended(3, name="b")
    for agent in (first, second, other):
        kept.add(agent)
    assert kept.named("a") is second
    assert kept.named("c") is None


def test_output_of_all_together_has_a_bound_and_the_oldest_goes_first() -> None:
    size = 2 * (1000 + PIECE)
    kept = EndedAgents(100, 2 * size, WHOLE)
    agents = [ended(number, b"x" * 999 + b"\n") for number in range(1, 5)]
    for agent in agents:
        kept.add(agent)
    assert [agent.logbook.memory for agent in agents] == [0, 0, size, size]
    assert kept.get(1) is agents[0]
    assert agents[0].logbook.lines_since(0) == ([], 1)


def test_output_that_is_larger_than_the_bound_is_not_held_at_all() -> None:
    kept = EndedAgents(100, 600, WHOLE)
    large, small = ended(1, b"x" * 1000 + b"\n"), ended(2, b"y\n")
    kept.add(large)
    assert large.logbook.memory == 0
    kept.add(small)
    assert [line.text for line in small.logbook.lines_since(0)[0]] == ["y"]


def test_one_that_is_forgotten_gives_back_the_room_of_its_output() -> None:
    size = 2 * (1000 + PIECE)
    kept = EndedAgents(1, size, WHOLE)
    for number in range(1, 5):
        agent = ended(number, b"x" * 999 + b"\n")
        kept.add(agent)
        assert agent.logbook.memory == size


def test_one_that_is_removed_gives_back_its_room() -> None:
    agents = [ended(number, b"x" * 999 + b"\n") for number in (1, 2, 3)]
    size = agents[0].logbook.memory
    kept = EndedAgents(2, 2 * size, WHOLE)
    for agent in agents[:2]:
        kept.add(agent)
    kept.remove(1)
    kept.remove(1)
    kept.add(agents[2])
    assert list(kept) == agents[1:]
    assert [agent.logbook.memory for agent in agents[1:]] == [size, size]


def test_none_is_kept_when_none_is_wanted() -> None:
    kept = EndedAgents(0, 1)
    kept.add(ended(1, b"x\n"))
    assert kept.get(1) is None


def test_agents_of_a_family_that_end_in_a_row_make_none_of_another_forgotten() -> None:
    size = 2 * (1000 + PIECE)
    kept = EndedAgents(8, 8 * size)
    mine = [ended(number, b"x" * 999 + b"\n") for number in (1, 2)]
    for agent in mine:
        kept.add(agent)
    flood = [ended(number, b"x" * 999 + b"\n", family=3) for number in range(3, 100)]
    for agent in flood:
        kept.add(agent)
    assert [kept.get(number) for number in (1, 2)] == mine
    assert [agent.logbook.memory for agent in mine] == [size, size]
    known = [agent for agent in flood if kept.get(agent.agent_id)]
    assert known == flood[-4:]
    assert sum(agent.logbook.memory for agent in flood) == 2 * size


def test_the_family_that_has_most_makes_room() -> None:
    kept = EndedAgents(6, 1 << 20)
    for number in range(1, 4):
        kept.add(ended(number, family=1))
    for number in range(11, 15):
        kept.add(ended(number))
    assert kept.get(1) is None
    assert all(kept.get(number) for number in (2, 3, 11, 12, 13, 14))
