"""The mailboxes in memory, at once and as a store on a disk would answer; how they are shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from clove.kernel.mail import Mailboxes, MailLimits
from clove.kernel.mail.mailboxes import OVERHEAD
from clove.messages.mail import Mail
from clove.sharing.shares import OPERATORS, ShareLimits
from tests.contracts.answers import Slow
from tests.contracts.mail import MailContract
from tests.contracts.mail_making import Owners, message, texts

WHOLE = ShareLimits(family=1, family_memory=1, operators=0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestInMemory(MailContract):
    """It answers at once."""

    def make(
        self,
        clock: Clock,
        owners: Owners,
        limits: MailLimits,
        on_delivered: Callable[..., object] | None = None,
    ) -> Any:
        return Mailboxes(clock, owners, limits, on_delivered, WHOLE)

    def test_it_answers_at_once(self, clock: Clock) -> None:
        boxes = self.make(clock, Owners.alone(1), MailLimits())
        assert boxes.deliver(1, message(2, b"1")) == 1
        assert texts(boxes.receive(1, 1)) == [b"1"]
        assert boxes.receive(1, 1) == []
        assert boxes.broadcast(message(2, b"1")) == 1
        assert boxes.ack(1, []) == 0


class TestSlow(MailContract):
    """It answers a moment later."""

    def make(
        self,
        clock: Clock,
        owners: Owners,
        limits: MailLimits,
        on_delivered: Callable[..., object] | None = None,
    ) -> Any:
        return Slow(clock, Mailboxes(clock, owners, limits, on_delivered, WHOLE))


def some(clock: Clock, owners: Owners, **limits: float) -> Mailboxes:
    whole = {"family_part": 1.0, "foreign_part": 1.0, **limits}
    return Mailboxes(clock, owners, MailLimits(**whole), shares=WHOLE)  # type: ignore[arg-type]


def test_all_mailboxes_together_are_bounded(clock: Clock) -> None:
    boxes = some(clock, Owners.alone(1, 2, 3), max_total_bytes=10 + OVERHEAD)
    boxes.deliver(2, message(1, b"1" * 6))
    with pytest.raises(LimitExceeded):
        boxes.deliver(3, message(2, b"1" * 6))
    boxes.close(2)
    boxes.deliver(3, message(1, b"1" * 6))
    assert boxes.total_bytes == 6 + OVERHEAD


def received(boxes: Mailboxes, most: int) -> list[Mail]:
    mails = boxes.receive(1, most)
    assert isinstance(mails, list)
    return mails


def test_what_leaves_at_once_is_given_back_to_each_of_its_senders(clock: Clock) -> None:
    boxes = some(clock, Owners.alone(1), max_sender_bytes=20)
    senders = (2, 3, 3, 2, 4, 4)
    for most in (6, 3, 1):
        for sender in senders:
            boxes.deliver(1, message(sender, b"1" * 10))
        for sender in (2, 3, 4):
            with pytest.raises(LimitExceeded):
                boxes.deliver(1, message(sender, b"1"))
        got = [mail.from_ for _ in range(6 // most) for mail in received(boxes, most)]
        assert got == list(senders)
        assert boxes.total_bytes == 0


def test_a_family_has_its_share_of_all_mailboxes_however_many_agents_send(clock: Clock) -> None:
    boxes = Mailboxes(clock, Owners.alone(1, 2, 3, 4), MailLimits(max_total_bytes=80_000))
    body = b"1" * 1000
    for sender in (1, 2) * (17_500 // (1000 + OVERHEAD) // 2):
        boxes.deliver(4, message(sender, body, family=1))
    boxes.deliver(4, message(1, body, family=1))
    with pytest.raises(LimitExceeded, match="your family of agents has"):
        boxes.deliver(4, message(2, body, family=1))
    assert boxes.broadcast(message(1, body, family=1)) == 0
    boxes.deliver(4, message(3, body, family=3))
    boxes.receive(4, 1)
    boxes.deliver(4, message(2, body, family=1))


def filled(boxes: Mailboxes, to: int, family: int, size: int = 1) -> int:
    """Send as family until refused; how many were taken."""
    for sent in range(1000):
        try:
            boxes.deliver(to, message(family, b"1" * size, family=family, name="x"))
        except LimitExceeded:
            return sent
    return 1000


@pytest.mark.parametrize(("limits", "size"), [({"max_messages": 100}, 1), ({"max_bytes": 100}, 1)])
def test_other_families_leave_room_in_a_mailbox_for_its_owner_s_and_operators(
    clock: Clock, limits: dict[str, float], size: int
) -> None:
    boxes = some(clock, Owners({7: 3}), family_part=0.5, foreign_part=0.75, **limits)
    assert filled(boxes, 7, family=4, size=size) == 50
    assert filled(boxes, 7, family=5, size=size) == 25
    assert filled(boxes, 7, family=6, size=size) == 0
    boxes.deliver(7, message(1, b"1", family=OPERATORS, name="operator"))
    assert filled(boxes, 7, family=3, size=size) == 24
    boxes.receive(7, 60)
    assert filled(boxes, 7, family=6, size=size) == 50


def test_messages_of_other_families_that_expire_make_room(clock: Clock) -> None:
    boxes = some(clock, Owners({7: 3}), max_messages=10, family_part=0.5, foreign_part=0.5)
    for _ in range(5):
        boxes.deliver(7, message(4, b"1", ttl=1.0, family=4, name="x"))
    with pytest.raises(LimitExceeded, match="5 messages of 5 bytes from your family"):
        boxes.deliver(7, message(4, b"1", family=4, name="x"))
    clock.advance(2)
    boxes.deliver(7, message(4, b"1", family=4, name="x"))
