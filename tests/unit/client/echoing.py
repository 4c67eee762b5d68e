"""What the tests of the blocking client share: a kernel that says back what it is asked."""

from __future__ import annotations

from typing import Any

from clove.client.limits import ClientLimits
from clove.framing import Opcode

QUICK = ClientLimits(reconnects=2, first_pause=0.0)


def asked(reply: Any) -> Any:
    """What the kernel says that it was asked: no real reply has that."""
    return reply["asked"]


def echo(ask: Any) -> Any:
    return ask.body if ask.opcode == Opcode.NOOP else {"success": True, "asked": ask.fields}
