"""What agents share: messages, keys and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clove.client.call import Call, optional
from clove.errors import InvalidRequest
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.results import (
        AckReply,
        BroadcastReply,
        DeleteReply,
        EmitReply,
        FetchReply,
        KeysReply,
        PollEventsReply,
        RecvReply,
        SendReply,
        StoreReply,
        SubscribeReply,
        UnsubscribeReply,
    )

__all__ = [
    "ack_messages",
    "broadcast",
    "delete_key",
    "emit_event",
    "fetch",
    "list_keys",
    "poll_events",
    "recv_messages",
    "send_message",
    "store",
    "subscribe",
    "unsubscribe",
]


def send_message(
    message: Any,
    to: int | str | None = None,
    to_name: str | None = None,
    *,
    ttl: float | None = None,
) -> Call[SendReply]:
    """Put a message into an agent's mailbox.

    @param message: anything that JSON can say.
    @param to: the receiver's id (a text is taken as its name).
    @param ttl: seconds after which it is thrown away unread.
    @return: success, delivered_to, message_id.
    @raise NotFound: no such receiver.
    @raise LimitExceeded: the mailbox is full, or the message too large.
    """
    if isinstance(to, str):
        to, to_name = None, to
    if (to is None) == (to_name is None):
        raise InvalidRequest("one receiver: give to=ID or to_name=NAME, but not both")
    fields = {"message": message, **optional(to=to, to_name=to_name, ttl=ttl)}
    return Call(Opcode.SEND, fields)


def recv_messages(
    max: int | None = None, *, wait: float = 0.0, ack: str | None = None
) -> Call[RecvReply]:
    """Take messages out of one's own mailbox, oldest first.

    @param max: how many at most (10).
    @param wait: seconds to wait for the first one.
    @param ack: auto (default), or manual: they come again unless `ack_messages`
        confirms them.
    @return: success, count, messages: a list of {id, from, from_id, from_name,
        message, age_ms}.
    """
    fields = optional(max=max, wait=wait or None, ack=ack)
    return Call(Opcode.RECV, fields, patience=wait)


def ack_messages(message_ids: Sequence[int]) -> Call[AckReply]:
    """Confirm messages that were received with `ack="manual"`."""
    return Call(Opcode.ACK, {"message_ids": list(message_ids)}, idempotent=True)


def broadcast(
    message: Any, *, include_self: bool | None = None, ttl: float | None = None
) -> Call[BroadcastReply]:
    """Put a message into every agent's mailbox. Gives success, delivered_count."""
    fields = {"message": message, **optional(include_self=include_self, ttl=ttl)}
    return Call(Opcode.BROADCAST, fields)


def store(
    key: str,
    value: Any,
    *,
    scope: str | None = None,
    ttl: float | None = None,
    if_version: int | None = None,
) -> Call[StoreReply]:
    """Keep a value.

    @param value: anything that JSON can say.
    @param scope: global (default: all agents), agent (private) or session.
    @param ttl: seconds.
    @param if_version: store only over this version; 0: only if there is none.
    @return: success, key, version.
    @raise AlreadyExists: the version is another.
    @raise LimitExceeded: the key, the value or the store is too large.
    """
    fields = {
        "key": key,
        "value": value,
        **optional(scope=scope, ttl=ttl, if_version=if_version),
    }
    return Call(Opcode.STORE, fields)


def fetch(key: str, *, scope: str | None = None) -> Call[FetchReply]:
    """Look a key up. Gives success, exists, value, scope, version.

    @param scope: this one alone (default: agent, then session, then global).
    """
    return Call(Opcode.FETCH, {"key": key, **optional(scope=scope)}, idempotent=True)


def delete_key(key: str, *, scope: str | None = None) -> Call[DeleteReply]:
    """Forget a key, in the scope that `fetch` finds it in. Gives success, deleted."""
    return Call(Opcode.DELETE, {"key": key, **optional(scope=scope)})


def list_keys(prefix: str | None = None, *, scope: str | None = None) -> Call[KeysReply]:
    """The keys that begin with `prefix`. Gives success, keys, count, truncated."""
    return Call(Opcode.KEYS, optional(prefix=prefix, scope=scope), idempotent=True)


def subscribe(
    event_types: str | Sequence[str] = (), *, all: bool | None = None, push: bool | None = None
) -> Call[SubscribeReply]:
    """Ask for events of these types.

    @param all: of every type.
    @param push: have them sent on this connection at once (version 2), instead
        of being kept for `poll_events`.
    @return: success, subscribed.
    """
    return Call(
        Opcode.SUBSCRIBE,
        {"event_types": _types(event_types), **optional(all=all, push=push)},
        idempotent=True,
        subscribes=bool(push),
    )


def unsubscribe(
    event_types: str | Sequence[str] = (), *, all: bool | None = None
) -> Call[UnsubscribeReply]:
    """No longer ask for events of these types. Gives success, unsubscribed."""
    return Call(
        Opcode.UNSUBSCRIBE,
        {"event_types": _types(event_types), **optional(all=all)},
        idempotent=True,
    )


def poll_events(max: int | None = None) -> Call[PollEventsReply]:
    """Take events that were kept for us.

    @return: success, count, events: a list of {type, data, source_agent_id,
        timestamp, age_ms}.
    """
    return Call(Opcode.POLL_EVENTS, optional(max=max))


def emit_event(event_type: str, data: Any = None) -> Call[EmitReply]:
    """Tell subscribers; a type of one's own arrives as CUSTOM with data.custom_type.

    @return: success, delivered_to (how many).
    """
    return Call(Opcode.EMIT, {"event_type": event_type, "data": {} if data is None else data})


def _types(event_types: str | Sequence[str]) -> list[str]:
    return [event_types] if isinstance(event_types, str) else list(event_types)
