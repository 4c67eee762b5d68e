"""What every implementation of L{IMailboxes} must do.

Nothing accepted is lost, nothing grows without bound, no receiver polls.
"""

from __future__ import annotations

from tests.contracts.mail_bounds import BoundsContract
from tests.contracts.mail_delivery import DeliveryContract
from tests.contracts.mail_leases import LeaseContract
from tests.contracts.mail_waiting import WaitingContract

__all__ = ["MailContract"]


class MailContract(DeliveryContract, BoundsContract, WaitingContract, LeaseContract):
    """For a test class that says how its mailboxes are made."""
