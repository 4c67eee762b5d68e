"""Any sequence of sends, receives, acknowledgements and time against a plain model."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from clove.kernel.mail import Mailboxes, MailLimits
from clove.kernel.mail.mailboxes import OVERHEAD
from clove.messages.mail import Mail
from clove.sharing.shares import ShareLimits
from tests.contracts.mail_making import Owners, message

ME, SENDER = 1, 2
WHOLE = ShareLimits(family=1, family_memory=1, operators=0)
LIMITS = MailLimits(max_messages=5, max_bytes=60, lease=30.0, family_part=1, foreign_part=1)


@dataclass
class Sent:
    id: int
    text: bytes
    expires: float
    leased_until: float | None = None


class MailModel(RuleBasedStateMachine):
    """One mailbox; the model keeps a list."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.boxes = Mailboxes(self.clock, Owners.alone(ME), LIMITS, shares=WHOLE)
        self.sent: list[Sent] = []
        self.waiting: list[tuple[int, bool, list[Mail]]] = []
        self.next_text = 0

    def live(self) -> list[Sent]:
        """Leased ones, and those in the queue that have not expired."""
        now = self.clock.seconds()
        return [one for one in self.sent if one.leased_until is not None or one.expires > now]

    def expect(self, most: int, manual: bool, mails: list[Mail]) -> None:
        """Take from the model what a receive must have given."""
        queue = [one for one in self.live() if one.leased_until is None][:most]
        assert [mail.id for mail in mails] == [one.id for one in queue]
        assert [bytes(mail.message) for mail in mails] == [one.text for one in queue]
        for one in queue:
            if manual:
                one.leased_until = self.clock.seconds() + LIMITS.lease
            else:
                self.sent.remove(one)

    def settle(self) -> None:
        """Those who waited and were served, in order."""
        while self.waiting and self.waiting[0][2]:
            most, manual, mails = self.waiting.pop(0)
            self.expect(most, manual, mails)

    @rule(length=st.integers(1, 30), ttl=st.none() | st.floats(1, 40))
    def send(self, length: int, ttl: float | None) -> None:
        self.next_text += 1
        text = b"%0*d" % (length, self.next_text)
        live = self.live()
        size = sum(len(one.text) for one in live)
        fits = len(live) < LIMITS.max_messages and size + len(text) <= LIMITS.max_bytes
        expires = inf if ttl is None else self.clock.seconds() + ttl
        try:
            id = self.boxes.deliver(ME, message(SENDER, text, ttl))
        except LimitExceeded:
            assert not fits
            return
        assert fits
        self.sent.append(Sent(id, text, expires))
        self.settle()

    @rule(most=st.integers(1, 4), manual=st.booleans())
    def take(self, most: int, manual: bool) -> None:
        mails = self.boxes.receive(ME, most, manual_ack=manual)
        assert not isinstance(mails, Deferred)
        self.expect(most, manual, mails)

    @rule(most=st.integers(1, 4), manual=st.booleans(), cancel=st.booleans())
    def wait(self, most: int, manual: bool, cancel: bool) -> None:
        got: list[Mail] = []
        waiting = self.boxes.receive(ME, most, 3600, manual)
        if not isinstance(waiting, Deferred):
            self.expect(most, manual, waiting)
        elif cancel:
            waiting.addErrback(lambda _: None)
            waiting.cancel()
        else:
            waiting.addCallback(got.extend)
            self.waiting.append((most, manual, got))

    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        leased = [one for one in self.sent if one.leased_until is not None]
        ids = data.draw(st.lists(st.sampled_from([one.id for one in leased] or [0]), unique=True))
        assert self.boxes.ack(ME, ids) == sum(one.id in ids for one in leased)
        self.sent = [one for one in self.sent if one not in leased or one.id not in ids]

    @rule()
    def release(self) -> None:
        self.boxes.release(ME)
        for one in self.sent:
            one.leased_until = None
        self.settle()

    @rule(seconds=st.floats(0.5, 20))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for one in self.sent:
            if one.leased_until is not None and one.leased_until <= self.clock.seconds():
                one.leased_until = None
        self.settle()

    @invariant()
    def bytes_add_up(self) -> None:
        live = sum(len(one.text) + OVERHEAD for one in self.live())
        most = LIMITS.max_bytes + LIMITS.max_messages * OVERHEAD
        assert live <= self.boxes.total_bytes <= most

    def teardown(self) -> None:
        for _, _, got in self.waiting:
            assert got == []
        self.waiting.clear()
        self.clock.advance(3600 * 24)
        self.boxes.close(ME)
        assert self.boxes.total_bytes == 0
        assert self.clock.getDelayedCalls() == []


MailModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
TestMailModel = MailModel.TestCase
