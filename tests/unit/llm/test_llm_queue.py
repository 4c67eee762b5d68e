"""The bounds of what waits for the model; tests/unit/sharing/test_fair_queue.py has the order."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clove.errors import LimitExceeded
from clove.kernel.llm.queue import BoundedQueue
from clove.kernel.llm.settings import LLMLimits
from clove.sharing.fair_queue import Path
from clove.sharing.shares import OPERATORS, ShareLimits


@dataclass(eq=False)
class Item:
    path: Path
    name: str = ""
    size: int = 1


def item(agent: int, name: str = "", size: int = 1, family: int = 0) -> Item:
    return Item((family, agent) if family else (agent,), name, size)


def queue(**limits: int) -> BoundedQueue[Item]:
    return BoundedQueue(LLMLimits(**limits), ShareLimits(family=1, family_memory=1, operators=0))


def drain(line: BoundedQueue[Item]) -> list[str]:
    names = []
    while (served := line.next(lambda _: True)) is not None:
        names.append(served.name)
        line.finish(served)
    return names


def test_agent_with_a_first_call_that_may_not_go_is_passed_over_and_keeps_its_turn() -> None:
    line = queue()
    for agent, name in ((1, "a1"), (1, "a2"), (2, "b1")):
        line.add(item(agent, name))
    served = line.next(lambda one: one.path != (1,))
    assert served is not None
    assert served.name == "b1"
    assert line.next(lambda one: one.path != (1,)) is None
    assert drain(line) == ["a1", "a2"]


def test_full_lines_refuse_with_a_hint_and_keep_what_they_have() -> None:
    line = queue(max_waiting_per_agent=2, max_waiting=3)
    line.add(item(1))
    line.add(item(1))
    with pytest.raises(LimitExceeded) as refused:
        line.add(item(1))
    assert "max_waiting_per_agent" in refused.value.hint
    line.add(item(2))
    with pytest.raises(LimitExceeded):
        line.add(item(3))
    assert len(line) == 3


def test_what_its_children_ask_is_not_counted_for_an_agent() -> None:
    line = queue(max_waiting_per_agent=1)
    line.add(item(11, family=1))
    line.add(item(12, family=1))
    line.add(item(1))
    with pytest.raises(LimitExceeded):
        line.add(item(1))


def test_bytes_are_bounded_too() -> None:
    line = queue(max_waiting_bytes=1 << 20)
    line.add(item(1, size=1 << 20))
    with pytest.raises(LimitExceeded):
        line.add(item(2, size=1))
    assert drain(line) == [""]
    line.add(item(2, size=1 << 20))


def test_what_is_given_up_is_counted_off() -> None:
    line = queue()
    first, second = item(1, "first", 5), item(1, "second", 7)
    line.add(first)
    line.add(second)
    assert line.withdraw(first)
    assert not line.withdraw(first)
    assert (len(line), line.size, line.waiting()) == (1, 7, [second])
    assert drain(line) == ["second"]
    assert line.size == 0


def test_a_family_leaves_slots_and_bytes_to_another_and_to_operators() -> None:
    line: BoundedQueue[Item] = BoundedQueue(LLMLimits(max_waiting=8, max_waiting_bytes=8 << 20))
    for agent in range(10, 14):
        line.add(item(agent, family=10))
    with pytest.raises(LimitExceeded, match="your family of agents has 4 questions waiting"):
        line.add(item(14, family=10))
    with pytest.raises(LimitExceeded, match="bytes of questions waiting"):
        line.add(item(20, size=2 << 20))
    for _ in range(3):
        line.add(item(20))
    with pytest.raises(LimitExceeded):
        line.add(item(30))
    line.add(Item((OPERATORS, 5)))


def test_what_is_with_the_provider_leaves_room_for_another_family_and_for_operators() -> None:
    line: BoundedQueue[Item] = BoundedQueue(LLMLimits(max_concurrent=8))
    for agent in (1, 2):
        for _ in range(5):
            line.add(item(agent))
    assert families(line) == [1, 1, 1, 1, 2, 2, 2]
    line.add(Item((OPERATORS, 7)))
    assert families(line) == [OPERATORS]


def families(line: BoundedQueue[Item]) -> list[int]:
    """Those whose items go now."""
    served = []
    while (one := line.next(lambda _: True)) is not None:
        served.append(one.path[0])
    return sorted(served)
