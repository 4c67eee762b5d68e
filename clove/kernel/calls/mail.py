"""SEND, RECV, BROADCAST, REGISTER and ACK.

Every agent may send to every other: a mailbox is bounded, and its owner sees
who a message is from by the kernel's word, not by the sender's.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from clove.errors import InvalidRequest
from clove.kernel import authority
from clove.kernel.context import Context
from clove.kernel.principal import Principal
from clove.messages.mail import (
    AckReply,
    AckRequest,
    BroadcastReply,
    BroadcastRequest,
    RecvReply,
    RecvRequest,
    RegisterReply,
    RegisterRequest,
    SendReply,
    SendRequest,
)
from clove.messages.value import checked

__all__ = ["ack", "broadcast", "recv", "register", "send"]

_SENDS_TO_ALL = authority.is_free("SEND")


def send(ctx: Context, request: SendRequest) -> SendReply:
    """Put a message into one mailbox.

    @raise InvalidRequest: neither `to` nor `to_name`, or unsound JSON.
    @raise NotFound: nobody alive by that id or name.
    @raise LimitExceeded: it does not fit.
    """
    receiver = _receiver(ctx, request)
    sender = ctx.principal
    if not _SENDS_TO_ALL:
        authority.require(sender, "SEND", receiver)
    message_id = ctx.kernel.mail.deliver(
        receiver.agent_id,
        sender.agent_id,
        sender.name,
        checked(request.message, "message"),
        request.ttl,
        sender.family,
    )
    return SendReply(delivered_to=receiver.agent_id, message_id=message_id)


def _receiver(ctx: Context, request: SendRequest) -> Principal:
    """By id; by name where no id (or 0, which nobody has) is given."""
    registry = ctx.kernel.registry
    if request.to:
        return registry.find(agent_id=request.to)
    if request.to_name:
        return registry.find(name=request.to_name)
    if request.to is not None:
        return registry.find(agent_id=request.to)
    raise InvalidRequest("SEND needs `to` (an id) or `to_name`", hint="LIST shows the agents")


def recv(ctx: Context, request: RecvRequest) -> RecvReply | Coroutine[Any, Any, RecvReply]:
    """Take messages; only where it must wait for the first is it a coroutine.

    @raise LimitExceeded: too many wait on this mailbox.
    """
    manual = request.ack == "manual"
    mails = ctx.kernel.mail.take(ctx.principal.agent_id, request.max, manual)
    if mails or request.wait <= 0:
        return RecvReply(count=len(mails), messages=mails)
    return _first_to_come(ctx, request, manual)


async def _first_to_come(ctx: Context, request: RecvRequest, manual: bool) -> RecvReply:
    mails = await ctx.kernel.mail.receive(ctx.principal.agent_id, request.max, request.wait, manual)
    return RecvReply(count=len(mails), messages=mails)


def broadcast(ctx: Context, request: BroadcastRequest) -> BroadcastReply:
    """Put a message into every mailbox that has room.

    @raise InvalidRequest: unsound JSON.
    @raise LimitExceeded: too large for any.
    """
    delivered = ctx.kernel.mail.broadcast(
        ctx.principal.agent_id,
        ctx.principal.name,
        checked(request.message, "message"),
        request.ttl,
        request.include_self,
        ctx.principal.family,
    )
    return BroadcastReply(delivered_count=delivered)


def register(ctx: Context, request: RegisterRequest) -> RegisterReply:
    """Take a name; an earlier one becomes free.

    @raise InvalidRequest: not a name.
    @raise AlreadyExists: in use.
    """
    principal = ctx.principal
    ctx.kernel.registry.rename(principal, request.name)
    return RegisterReply(agent_id=principal.agent_id, name=principal.name)


def ack(ctx: Context, request: AckRequest) -> AckReply:
    """Be done with messages received with `"ack": "manual"`."""
    done = ctx.kernel.mail.ack(ctx.principal.agent_id, request.message_ids)
    return AckReply(acknowledged=done)
