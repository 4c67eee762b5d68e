"""What every implementation of L{IMailboxes} does for those that wait for a message."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from clove.errors import Cancelled, LimitExceeded
from clove.messages.mail import Mail
from tests.contracts.mail_making import MailMaking, failure, message, texts

__all__ = ["WaitingContract"]


class WaitingContract(MailMaking):
    """No receiver polls, and each message goes to one that waits."""

    def test_receive_waits_for_the_first_message(self, clock: Clock) -> None:
        boxes = self.some(clock)
        got: list[list[Mail]] = []
        boxes.later("receive", 2, 10, 60).addCallback(got.append)
        assert got == []
        boxes.deliver(2, message(1, b"1"))
        assert texts(got[0]) == [b"1"]
        assert boxes.receive(2, 10) == []
        assert clock.getDelayedCalls() == []

    def test_a_wait_ends_empty_when_its_time_is_over(self, clock: Clock) -> None:
        boxes = self.some(clock)
        got: list[list[Mail]] = []
        boxes.later("receive", 2, 10, 60).addCallback(got.append)
        clock.advance(59.9)
        assert got == []
        clock.advance(0.1)
        assert got == [[]]
        boxes.deliver(2, message(1, b"1"))
        assert texts(boxes.receive(2, 10)) == [b"1"]

    def test_a_wait_is_cut_to_the_limit(self, clock: Clock) -> None:
        boxes = self.some(clock, max_wait=10.0)
        got: list[list[Mail]] = []
        boxes.later("receive", 2, 10, 1e300).addCallback(got.append)
        clock.advance(10)
        assert got == [[]]

    def test_waiters_are_served_in_order(self, clock: Clock) -> None:
        boxes = self.some(clock)
        got: list[tuple[str, list[bytes]]] = []

        def served(mails: list[Mail], name: str) -> None:
            got.append((name, texts(mails)))

        boxes.later("receive", 2, 10, 60).addCallback(served, "first")
        boxes.later("receive", 2, 10, 60).addCallback(served, "second")
        boxes.deliver(2, message(1, b"1"))
        boxes.deliver(2, message(1, b"2"))
        assert got == [("first", [b"1"]), ("second", [b"2"])]

    def test_a_cancelled_wait_takes_no_message(self, clock: Clock) -> None:
        boxes = self.some(clock)
        waiting = boxes.later("receive", 2, 10, 60)
        waiting.cancel()
        assert isinstance(failure(waiting), CancelledError)
        boxes.deliver(2, message(1, b"1"))
        assert texts(boxes.receive(2, 10)) == [b"1"]
        assert clock.getDelayedCalls() == []

    def test_a_waiter_that_was_served_may_wait_again_at_once(self, clock: Clock) -> None:
        boxes = self.some(clock)
        got: list[bytes] = []

        def again(mails: list[Mail]) -> None:
            got.extend(texts(mails))
            boxes.later("receive", 2, 1, 60).addCallback(again).addErrback(lambda _: None)

        again([])
        for text in (b"1", b"2", b"3"):
            boxes.deliver(2, message(1, text))
        assert got == [b"1", b"2", b"3"]
        boxes.close(2)

    def test_only_so_many_may_wait(self, clock: Clock) -> None:
        boxes = self.some(clock, max_waiters=1)
        waiting = boxes.later("receive", 2, 1, 60)
        with pytest.raises(LimitExceeded):
            boxes.receive(2, 1, 60)
        boxes.close(2)
        assert isinstance(failure(waiting), Cancelled)

    def test_close_ends_waits_and_forgets_all(self, clock: Clock) -> None:
        boxes = self.some(clock)
        waiting = boxes.later("receive", 2, 1, 60)
        boxes.deliver(1, message(2, b"1"))
        boxes.receive(1, 1, manual_ack=True)
        boxes.deliver(1, message(2, b"2"))
        boxes.close(1)
        boxes.close(2)
        boxes.close(2)
        assert isinstance(failure(waiting), Cancelled)
        assert boxes.total_bytes == 0
        assert clock.getDelayedCalls() == []
