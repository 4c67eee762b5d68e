"""Mailboxes: one for each principal, bounded, with waiting and leases."""

from clove.kernel.mail.interface import IMailboxes, Owners
from clove.kernel.mail.limits import MailLimits
from clove.kernel.mail.mailboxes import Mailboxes
from clove.kernel.mail.message import Message

__all__ = ["IMailboxes", "MailLimits", "Mailboxes", "Message", "Owners"]
