"""The first messages between a relay, its kernels and its remote agents (docs/wire.md, Relay). Pure."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from clove.errors import InvalidRequest
from clove.messages.base import MALFORMED

__all__ = [
    "MOST_INTRODUCTION",
    "PING_SECONDS",
    "RESUME_SECONDS",
    "AgentAuth",
    "AuthError",
    "AuthOk",
    "Caller",
    "Challenge",
    "Introduced",
    "Introduction",
    "KernelAuth",
    "Proof",
    "challenge_text",
    "first_message",
    "relay_message",
]

PING_SECONDS: Final = 15.0
"""Between two pings of a relay."""
RESUME_SECONDS: Final = 60.0
"""For which a relay keeps the session of a link that was cut."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Short = Annotated[str, msgspec.Meta(max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=2**53)]


class KernelAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="kernel_auth"):
    """A kernel asks for its tunnel; version 1 has `token`, version 2 a key.

    @ivar instance: 16 random bytes in hexadecimal, made at each start of the kernel.
    @ivar session, received: resume a session that was cut.
    @ivar versions, isolation: what the registry shows of the machine.
    """

    machine_id: Name
    token: Short = ""
    protocol_version: int = 1
    public_key: bytes = b""
    instance: Short = ""
    join_token: Short = ""
    session: Short = ""
    received: Count = 0
    versions: dict[str, Short] = {}
    isolation: dict[str, Any] = {}


class AgentAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="agent_auth"):
    """A remote agent asks for a machine."""

    name: Name
    token: Short
    target_machine: Name
    protocol_version: int = 1
    session: Short = ""
    received: Count = 0


class Challenge(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="challenge"):
    """What a kernel is to sign."""

    nonce: bytes
    relay_id: Short


class Proof(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="proof"):
    """Its signature (L{challenge_text})."""

    signature: bytes


class AuthOk(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="auth_ok", omit_defaults=True
):
    """The other side is known. Version 1 has machine_id alone, or agent_id and target_machine."""

    machine_id: str = ""
    agent_id: int = 0
    target_machine: str = ""
    protocol_version: int = 1
    relay_id: str = ""
    session: str = ""
    resumed: bool = False
    received: Count = 0
    ping_seconds: Seconds = 0.0
    resume_seconds: Seconds = 0.0


class AuthError(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="auth_error"):
    """It is refused; the connection is closed."""

    error: str
    code: str = ""
    hint: str = ""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Of a channel: whom the relay has authenticated. What a kernel grants is its own decision.

    @ivar id: the relay's number for the connection.
    @ivar token_id: of the token that was shown; callers with the same one manage the same agents.
    @ivar permissions: fields of docs/wire.md, within which the token's calls are to stay.
    """

    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    name: Name
    token_id: Name
    permissions: dict[str, Any] = {}


class Introduction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First line on a kernel's socket for callers: whom the tunnel beside it brings.

    @ivar relay: the id of the relay that has authenticated it, or of all that share its database.
    @ivar caller: None: nobody, the tunnel asks whether the kernel answers.
    """

    relay: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    caller: Caller | None = None


class Introduced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The kernel's answer, one line.

    @ivar error: why it does not serve; "": it does.
    """

    error: str = ""


MOST_INTRODUCTION: Final = 32 << 10
"""Bytes of either line."""

_MOST_REASON: Final = 128
"""Characters of what is wrong with a message."""
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_FROM_RELAY = msgspec.json.Decoder(Challenge | AuthOk | AuthError)


def first_message(text: bytes) -> KernelAuth | AgentAuth:
    """What the other side of a relay's new connection says.

    A field that is null counts as absent.

    @raise InvalidRequest: something else. What stands in it is not quoted: it may be a token.
    """
    what = "the first message is kernel_auth or agent_auth"
    try:
        said = _OBJECT.decode(text)
        given = {name: value for name, value in said.items() if value is not None}
        first: KernelAuth | AgentAuth = msgspec.convert(given, KernelAuth | AgentAuth)
        return first
    except MALFORMED as error:
        reason = str(error)
        if "value" not in reason:  # "Invalid value 'x'" quotes it, all else names fields and types
            what = f"{what}: {reason[:_MOST_REASON]}"
        raise InvalidRequest(what, hint="docs/wire.md, Relay") from None


def relay_message(text: bytes) -> Challenge | AuthOk | AuthError:
    """What a relay answers.

    @raise InvalidRequest: something else.
    """
    try:
        said: Challenge | AuthOk | AuthError = _FROM_RELAY.decode(text)
        return said
    except MALFORMED as error:
        raise InvalidRequest(f"this is no relay of Clove: {error}") from None


def challenge_text(relay_id: str, machine_id: str, instance: str, nonce: bytes) -> bytes:
    """What a kernel signs: it holds for this relay, this start of the kernel and this connection."""
    parts = (relay_id.encode(), machine_id.encode(), instance.encode(), nonce)
    return b"clove tunnel 2\0" + b"".join(len(one).to_bytes(4, "big") + one for one in parts)
