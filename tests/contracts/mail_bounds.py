"""What every implementation of L{IMailboxes} refuses, and what makes room."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from tests.contracts.mail_making import MailMaking, message, texts

__all__ = ["BoundsContract"]


class BoundsContract(MailMaking):
    """Nothing grows without bound."""

    def test_a_full_mailbox_refuses_and_keeps_what_it_has(self, clock: Clock) -> None:
        boxes = self.some(clock, max_messages=2)
        boxes.deliver(2, message(1, b"1"))
        boxes.deliver(2, message(1, b"2"))
        with pytest.raises(LimitExceeded) as caught:
            boxes.deliver(2, message(1, b"3"))
        assert "RECV" in caught.value.hint
        assert texts(boxes.receive(2, 1)) == [b"1"]
        boxes.deliver(2, message(1, b"4"))
        assert texts(boxes.receive(2, 10)) == [b"2", b"4"]

    def test_a_mailbox_is_bounded_by_bytes(self, clock: Clock) -> None:
        boxes = self.some(clock, max_bytes=10)
        boxes.deliver(2, message(1, b"1" * 6))
        with pytest.raises(LimitExceeded):
            boxes.deliver(2, message(1, b"1" * 5))
        boxes.deliver(2, message(1, b"1" * 4))

    def test_a_message_over_the_size_is_refused(self, clock: Clock) -> None:
        boxes = self.some(clock, max_message_bytes=3)
        boxes.deliver(2, message(1, b"123"))
        with pytest.raises(LimitExceeded):
            boxes.deliver(2, message(1, b"1234"))
        with pytest.raises(LimitExceeded):
            boxes.broadcast(message(1, b"1234"))

    def test_one_sender_cannot_fill_the_mailboxes_of_all(self, clock: Clock) -> None:
        boxes = self.some(clock, 1, 2, 3, max_sender_bytes=10)
        boxes.deliver(2, message(1, b"1" * 6))
        with pytest.raises(LimitExceeded):
            boxes.deliver(3, message(1, b"1" * 6))
        boxes.deliver(3, message(2, b"1" * 6))
        boxes.receive(2, 1)
        boxes.deliver(3, message(1, b"1" * 6))

    def test_a_batch_is_bounded(self, clock: Clock) -> None:
        boxes = self.some(clock, max_batch=2)
        for _ in range(3):
            boxes.deliver(2, message(1, b"1"))
        assert len(boxes.receive(2, 10**30)) == 2

    def test_a_message_is_gone_when_its_time_is_over(self, clock: Clock) -> None:
        boxes = self.some(clock)
        boxes.deliver(2, message(1, b"1", 5))
        boxes.deliver(2, message(1, b"2"))
        clock.advance(5)
        assert texts(boxes.receive(2, 10)) == [b"2"]

    def test_expired_messages_make_room(self, clock: Clock) -> None:
        boxes = self.some(clock, max_messages=2)
        boxes.deliver(2, message(1, b"1"))
        boxes.deliver(2, message(1, b"2", 5))
        clock.advance(5)
        boxes.deliver(2, message(1, b"3"))
        assert texts(boxes.receive(2, 10)) == [b"1", b"3"]
