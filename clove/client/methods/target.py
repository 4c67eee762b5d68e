"""Which agent a call is about."""

from __future__ import annotations

from typing import Any

from clove.client.call import optional
from clove.errors import InvalidRequest

__all__ = ["agent_fields"]


def agent_fields(name: str | int | None, agent_id: int | None) -> dict[str, Any]:
    """The fields of a request that say it.

    @param name: a name; a number is an id.
    @raise InvalidRequest: none is named, or two are.
    """
    if isinstance(name, int):
        name, agent_id = None, name
    if (name is None) == (agent_id is None):
        raise InvalidRequest("which agent? give its name, or its id, but not both")
    return optional(name=name, id=agent_id)
