"""BROADCAST to many, in several turns of the sender's family."""

from __future__ import annotations

import itertools

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.loop_time import LoopTime
from clove.kernel.mail import Mailboxes
from clove.sharing.shares import ShareLimits
from tests.contracts.mail_making import Owners, message
from tests.reactor_turns import turn

BEGUN = ConnectionLimits().long_work
TURN = 0.0005
RECEIVERS = 100
WHOLE = ShareLimits(family=1, family_memory=1, operators=0)


class Boxes:
    """Mailboxes of a hundred, where each delivery takes a fifth of a turn."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.owners = Owners.alone(*range(1, RECEIVERS + 2))
        self.reached: list[int] = []
        in_turns = LoopTime(self.clock, TURN, BEGUN).in_turns
        self.boxes = Mailboxes(
            self.clock, self.owners, None, self.delivered, WHOLE, in_turns=in_turns
        )

    def delivered(self, to: int, *_: object) -> None:
        self.clock.rightNow += TURN / 5
        self.reached.append(to)

    def broadcast(self) -> Deferred[int]:
        answer = self.boxes.broadcast(message(1, b"0"))
        assert isinstance(answer, Deferred)
        return answer


@pytest.fixture
def boxes() -> Boxes:
    return Boxes()


def test_a_few_are_reached_in_each_turn_and_all_in_the_end(boxes: Boxes) -> None:
    counts: list[int] = []
    boxes.broadcast().addCallback(counts.append)
    reached = [len(boxes.reached)]
    while not counts:
        turn(boxes.clock)
        reached.append(len(boxes.reached))
    assert counts == [RECEIVERS]
    assert boxes.reached == list(range(2, RECEIVERS + 2))
    assert max(after - before for before, after in itertools.pairwise(reached)) <= 6


def test_one_that_ends_meanwhile_is_left_out(boxes: Boxes) -> None:
    counts: list[int] = []
    boxes.broadcast().addCallback(counts.append)
    del boxes.owners[50]
    while not counts:
        turn(boxes.clock)
    assert counts == [RECEIVERS - 1]


def test_one_that_waits_to_be_begun_is_for_those_that_are_there_then(boxes: Boxes) -> None:
    """Until then it holds no list of them."""
    counts: list[int] = []
    for _ in range(BEGUN + 1):
        boxes.broadcast().addCallback(counts.append)
    del boxes.owners[RECEIVERS + 1]
    added = RECEIVERS + 2
    boxes.owners.update({added: added, added + 1: added + 1})
    while len(counts) <= BEGUN:
        turn(boxes.clock)
    assert counts == [RECEIVERS - 1] * BEGUN + [RECEIVERS + 1]


def test_what_is_cancelled_reaches_no_more(boxes: Boxes) -> None:
    answer = boxes.broadcast()
    turn(boxes.clock)
    reached = len(boxes.reached)
    answer.addErrback(lambda failure: failure.trap(CancelledError) and None)
    answer.cancel()
    assert boxes.clock.getDelayedCalls() == []
    assert len(boxes.reached) == reached < RECEIVERS


def test_to_a_few_it_is_done_at_once(boxes: Boxes) -> None:
    for agent_id in range(6, RECEIVERS + 2):
        del boxes.owners[agent_id]
    assert boxes.boxes.broadcast(message(1, b"0")) == 4
