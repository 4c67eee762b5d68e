"""SEND, RECV, BROADCAST, REGISTER and ACK.

Every agent may send to every other: a mailbox is bounded, and the sender that its owner sees is
the one that the kernel knows, not one that the message claims.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from clove.errors import InvalidRequest
from clove.kernel import authority
from clove.kernel.answers import then
from clove.kernel.context import Context
from clove.kernel.mail import Message
from clove.kernel.principal import Principal
from clove.messages.mail import (
    AckReply,
    AckRequest,
    BroadcastReply,
    BroadcastRequest,
    Mail,
    RecvReply,
    RecvRequest,
    RegisterReply,
    RegisterRequest,
    SendReply,
    SendRequest,
)
from clove.messages.value import checked
from clove.spelling import shown

__all__ = ["ack", "broadcast", "recv", "register", "send"]

_SENDS_TO_ALL = authority.is_free("SEND")


def send(ctx: Context, request: SendRequest) -> SendReply | Coroutine[Any, Any, SendReply]:
    """Put a message into one mailbox.

    @raise InvalidRequest: neither `to` nor `to_name`, or unsound JSON.
    @raise NotFound: no live principal with that id or name.
    @raise LimitExceeded: it does not fit.
    """
    receiver = ctx.kernel.registry.get(request.to) if request.to else None
    if receiver is None:
        receiver = _receiver(ctx, request)
    sender = ctx.principal
    if not _SENDS_TO_ALL:
        authority.require(sender, "SEND", receiver)
    if request.to_name and request.to_name != receiver.name:
        raise InvalidRequest(
            f"SEND names two agents: {request.to} is {receiver.name!r}, not {shown(request.to_name)!r}",
            hint="give `to` or `to_name` alone",
        )
    to = receiver.agent_id
    body = checked(request.message, "message")
    message = Message(sender.agent_id, sender.name, sender.family, body, request.ttl)
    return then(ctx.kernel.mail.deliver(to, message), _delivered, to)


def _delivered(message_id: int, to: int) -> SendReply:
    return SendReply(delivered_to=to, message_id=message_id)


def _receiver(ctx: Context, request: SendRequest) -> Principal:
    """By id; by name where no id (or 0, which is no id) is given."""
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
    mails = ctx.kernel.mail.receive(
        ctx.principal.agent_id, request.max, request.wait, request.ack == "manual"
    )
    return then(mails, _received, None)


def _received(mails: list[Mail], _: None) -> RecvReply:
    return RecvReply(count=len(mails), messages=mails)


def broadcast(
    ctx: Context, request: BroadcastRequest
) -> BroadcastReply | Coroutine[Any, Any, BroadcastReply]:
    """Put a message into every mailbox that has room.

    @raise InvalidRequest: unsound JSON.
    @raise LimitExceeded: too large for any.
    """
    sender = ctx.principal
    body = checked(request.message, "message")
    message = Message(sender.agent_id, sender.name, sender.family, body, request.ttl)
    return then(ctx.kernel.mail.broadcast(message, request.include_self), _broadcast, None)


def _broadcast(delivered: int, _: None) -> BroadcastReply:
    return BroadcastReply(delivered_count=delivered)


def register(ctx: Context, request: RegisterRequest) -> RegisterReply:
    """Take a name; an earlier one becomes free.

    @raise InvalidRequest: not a name.
    @raise AlreadyExists: in use.
    """
    principal = ctx.principal
    ctx.kernel.registry.rename(principal, request.name)
    return RegisterReply(agent_id=principal.agent_id, name=principal.name)


def ack(ctx: Context, request: AckRequest) -> AckReply | Coroutine[Any, Any, AckReply]:
    """Be done with messages received with `"ack": "manual"`."""
    done = ctx.kernel.mail.ack(ctx.principal.agent_id, request.message_ids)
    return then(done, _acknowledged, None)


def _acknowledged(done: int, _: None) -> AckReply:
    return AckReply(acknowledged=done)
