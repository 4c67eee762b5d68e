"""What becomes of an event that an agent emits. Pure."""

from __future__ import annotations

import re

import msgspec

from clove.errors import InvalidRequest
from clove.messages.events import CUSTOM

__all__ = ["custom_data"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def custom_data(name: str, data: msgspec.Raw, max_name: int) -> msgspec.Raw:
    """The data of the CUSTOM event that stands for an emitted one.

    Whatever name an agent gives, also one of the kernel's own types, its event
    is a CUSTOM one and the name is in `custom_type`, so no agent can forge
    what the kernel says. Data that is no object goes into the field `data`.
    EMIT of CUSTOM itself leaves objects as they are.

    @raise InvalidRequest: the name is empty, too long or has control characters.
    """
    if not name or len(name) > max_name or _CONTROL.search(name):
        raise InvalidRequest(
            f"an event type has 1 to {max_name} characters and no control characters"
        )
    body = bytes(data)
    if body.startswith(b"{"):
        fields = _fields.decode(body)
    else:
        fields = {} if body == b"null" else {"data": data}
    if name != CUSTOM or "custom_type" not in fields:
        fields["custom_type"] = msgspec.Raw(msgspec.json.encode(name))
    return msgspec.Raw(msgspec.json.encode(fields))
