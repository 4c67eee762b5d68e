"""Mailboxes: one for each principal, bounded, with waiting and leases."""

from clove.kernel.mail.interface import IMailboxes
from clove.kernel.mail.limits import MailLimits
from clove.kernel.mail.mailboxes import Mailboxes

__all__ = ["IMailboxes", "MailLimits", "Mailboxes"]
