"""Which ended agents are remembered, and whose output is."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, succeed

from clove.kernel.agents.agent import Agent
from clove.kernel.agents.logbook import Logbook, LogLimits
from clove.kernel.agents.remembered import Remembered
from clove.kernel.agents.tail import PIECE
from clove.kernel.principal import Kind, Principal
from clove.kernel.shares import ShareLimits
from clove.kernel.threads import Threads
from clove.policy import Level, for_level

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
        self.logbook.take(1, output)
        self.logbook.close()


def ended(agent_id: int, output: bytes = b"", name: str = "a", family: int = 0) -> Agent:
    return cast("Agent", _Ended(agent_id, output, name, family))


def test_the_oldest_are_forgotten() -> None:
    remembered = Remembered(2, 1 << 20)
    agents = [ended(number) for number in (1, 2, 3)]
    for agent in agents:
        remembered.add(agent)
    assert remembered.get(1) is None
    assert remembered.get(2) is agents[1]
    assert remembered.get(3) is agents[2]


def test_of_one_name_the_latest_is_found() -> None:
    remembered = Remembered(9, 1 << 20)
    first, second, other = ended(1), ended(2), ended(3, name="b")
    for agent in (first, second, other):
        remembered.add(agent)
    assert remembered.named("a") is second
    assert remembered.named("c") is None


def test_output_of_all_together_has_a_bound_and_the_oldest_goes_first() -> None:
    size = 1000 + PIECE
    remembered = Remembered(100, 2 * size, WHOLE)
    agents = [ended(number, b"x" * 999 + b"\n") for number in range(1, 5)]
    for agent in agents:
        remembered.add(agent)
    assert [agent.logbook.memory for agent in agents] == [0, 0, size, size]
    assert remembered.get(1) is agents[0]
    assert agents[0].logbook.since(0) == ([], 1)


def test_output_that_is_larger_than_the_bound_is_not_held_at_all() -> None:
    remembered = Remembered(100, 500, WHOLE)
    large, small = ended(1, b"x" * 1000 + b"\n"), ended(2, b"y\n")
    remembered.add(large)
    assert large.logbook.memory == 0
    remembered.add(small)
    assert [line.text for line in small.logbook.since(0)[0]] == ["y"]


def test_who_is_forgotten_gives_back_the_room_of_its_output() -> None:
    size = 1000 + PIECE
    remembered = Remembered(1, size, WHOLE)
    for number in range(1, 5):
        agent = ended(number, b"x" * 999 + b"\n")
        remembered.add(agent)
        assert agent.logbook.memory == size


def test_none_is_remembered_when_none_is_wanted() -> None:
    remembered = Remembered(0, 1)
    remembered.add(ended(1, b"x\n"))
    assert remembered.get(1) is None


def test_a_family_whose_agents_end_in_a_row_makes_none_of_another_forgotten() -> None:
    size = 1000 + PIECE
    remembered = Remembered(8, 8 * size)
    mine = [ended(number, b"x" * 999 + b"\n") for number in (1, 2)]
    for agent in mine:
        remembered.add(agent)
    flood = [ended(number, b"x" * 999 + b"\n", family=3) for number in range(3, 100)]
    for agent in flood:
        remembered.add(agent)
    assert [remembered.get(number) for number in (1, 2)] == mine
    assert [agent.logbook.memory for agent in mine] == [size, size]
    known = [agent for agent in flood if remembered.get(agent.agent_id)]
    assert known == flood[-4:]
    assert sum(agent.logbook.memory for agent in flood) == 2 * size


def test_the_family_that_has_most_makes_room() -> None:
    remembered = Remembered(6, 1 << 20)
    for number in range(1, 4):
        remembered.add(ended(number, family=1))
    for number in range(11, 15):
        remembered.add(ended(number))
    assert remembered.get(1) is None
    assert all(remembered.get(number) for number in (2, 3, 11, 12, 13, 14))
