"""How the mailboxes of a contract are made, sent to and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.kernel.mail import MailLimits, Message
from clove.messages.mail import Mail
from tests.contracts.answers import Settled

__all__ = ["MailMaking", "Owners", "failure", "message", "texts"]


def message(
    sender: int, body: bytes, ttl: float | None = None, *, name: str = "", family: int | None = None
) -> Message:
    return Message(sender, name, sender if family is None else family, Raw(body), ttl)


def texts(mails: Iterable[Mail]) -> list[bytes]:
    return [bytes(mail.message) for mail in mails]


def failure(deferred: Deferred[list[Mail]]) -> BaseException | None:
    got: list[BaseException] = []

    def keep(failure: Failure) -> None:
        assert failure.value is not None
        got.append(failure.value)

    deferred.addErrback(keep)
    return got[0] if got else None


class Owners(dict[int, int]):
    """Agents that have mailboxes, with their families."""

    @classmethod
    def alone(cls, *ids: int) -> Owners:
        """Each one's family is its own."""
        return cls((agent_id, agent_id) for agent_id in ids)

    def family_of(self, agent_id: int) -> int | None:
        return self.get(agent_id)

    def ids(self) -> list[int]:
        return list(self)


class MailMaking:
    """For a test class that says how its mailboxes are made."""

    def make(
        self,
        clock: Clock,
        owners: Owners,
        limits: MailLimits,
        on_delivered: Callable[..., object] | None = None,
    ) -> Any:
        """Mailboxes in which a family may have all."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    def some(self, clock: Clock, *ids: int, **limits: float) -> Any:
        """Mailboxes of these agents (1 and 2), whose answers are waited for."""
        whole = {"family_part": 1.0, "foreign_part": 1.0, **limits}
        owners = Owners.alone(*ids or (1, 2))
        return Settled(clock, self.make(clock, owners, MailLimits(**whole)))  # type: ignore[arg-type]
