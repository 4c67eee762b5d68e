"""The fair queue."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import LimitExceeded
from clove.kernel.llm.queue import FairQueue
from clove.kernel.llm.settings import LLMLimits
from clove.kernel.shares import OPERATORS, ShareLimits


def whoever(_: object) -> bool:
    return True


@dataclass(eq=False)
class Item:
    caller: int
    name: str = ""
    size: int = 1
    family: int = 0  # its own

    def __post_init__(self) -> None:
        self.family = self.family or self.caller


def queue(**limits: int) -> FairQueue[Item]:
    return FairQueue(LLMLimits(**limits), ShareLimits(family=1, family_memory=1, operators=0))


def drain(line: FairQueue[Item]) -> list[str]:
    names = []
    while (item := line.pop(whoever, whoever)) is not None:
        names.append(item.name)
    return names


def test_agents_take_turns_however_much_one_of_them_asks() -> None:
    line = queue()
    for name in ("a1", "a2", "a3", "b1", "c1", "b2"):
        line.push(Item(ord(name[0]), name))
    assert drain(line) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_one_that_comes_late_waits_one_turn_only() -> None:
    line = queue()
    for name in ("a1", "a2", "a3"):
        line.push(Item(1, name))
    assert line.pop(whoever, whoever).name == "a1"  # type: ignore[union-attr]
    line.push(Item(2, "b1"))
    assert drain(line) == ["a2", "b1", "a3"]


def test_agent_whose_first_may_not_go_is_passed_over_and_keeps_its_place() -> None:
    line = queue()
    for agent, name in ((1, "a1"), (1, "a2"), (2, "b1")):
        line.push(Item(agent, name))
    assert line.pop(whoever, lambda item: item.caller != 1).name == "b1"  # type: ignore[union-attr]
    assert line.pop(whoever, lambda item: item.caller != 1) is None
    assert drain(line) == ["a1", "a2"]


def test_full_lines_refuse_with_a_hint_and_keep_what_they_have() -> None:
    line = queue(max_waiting_per_agent=2, max_waiting=3)
    line.push(Item(1))
    line.push(Item(1))
    with pytest.raises(LimitExceeded) as refused:
        line.push(Item(1))
    assert "max_waiting_per_agent" in refused.value.hint
    line.push(Item(2))
    with pytest.raises(LimitExceeded):
        line.push(Item(3))
    assert len(line) == 3


def test_bytes_are_bounded_too() -> None:
    line = queue(max_waiting_bytes=1 << 20)
    line.push(Item(1, size=1 << 20))
    with pytest.raises(LimitExceeded):
        line.push(Item(2, size=1))
    assert drain(line) == [""]
    line.push(Item(2, size=1 << 20))


def test_removed_item_is_gone_and_counted_off() -> None:
    line = queue()
    first, second = Item(1, "first", 5), Item(1, "second", 7)
    line.push(first)
    line.push(second)
    assert line.remove(first)
    assert not line.remove(first)
    assert (len(line), line.size) == (1, 7)
    assert drain(line) == ["second"]
    assert line.size == 0


@given(st.lists(st.integers(1, 4), max_size=30))
def test_order_within_an_agent_holds_and_nobody_is_served_twice_in_a_row_needlessly(
    agents: list[int],
) -> None:
    line = queue()
    for index, agent in enumerate(agents):
        line.push(Item(agent, str(index)))
    served = [(agents[int(name)], int(name)) for name in drain(line)]
    assert sorted(index for _, index in served) == list(range(len(agents)))
    for agent in set(agents):
        own = [index for one, index in served if one == agent]
        assert own == sorted(own)
    for at, (agent, _) in enumerate(served[:-1]):
        others = {one for one, _ in served[at + 1 :]} - {agent}
        assert not others or served[at + 1][0] != agent


def test_families_take_turns_and_in_them_their_agents() -> None:
    line = queue()
    for caller, name in ((10, "a1"), (10, "a2"), (11, "a3"), (12, "a4")):
        line.push(Item(caller, name, family=10))
    line.push(Item(20, "b1"))
    line.push(Item(20, "b2"))
    assert drain(line) == ["a1", "b1", "a3", "b2", "a4", "a2"]


def test_a_family_leaves_places_and_bytes_to_another_and_to_operators() -> None:
    line: FairQueue[Item] = FairQueue(LLMLimits(max_waiting=8, max_waiting_bytes=8 << 20))
    for caller in range(10, 14):
        line.push(Item(caller, family=10))
    with pytest.raises(LimitExceeded, match="your family of agents has 4 questions waiting"):
        line.push(Item(14, family=10))
    with pytest.raises(LimitExceeded, match="bytes of questions waiting"):
        line.push(Item(20, size=2 << 20))
    for _ in range(3):
        line.push(Item(20))
    with pytest.raises(LimitExceeded):
        line.push(Item(30))
    operator = Item(5)
    operator.family = OPERATORS
    line.push(operator)


def test_a_family_that_has_its_places_is_passed_over() -> None:
    line = queue()
    for caller, name in ((10, "a1"), (20, "b1")):
        line.push(Item(caller, name))
    served = line.pop(lambda family: family != 10, whoever)
    assert served is not None
    assert served.name == "b1"
