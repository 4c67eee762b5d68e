"""How a person says which agent is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clove.errors import CloveError, NotFound

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["AGENT", "name_or_id"]


class Agent(click.ParamType):  # type: ignore[type-arg]
    """A name, or an id."""

    name = "agent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The text; L{name_or_id} says which of the two it is."""
        text = str(value)
        if not text:
            self.fail("an agent's name is not empty", param, ctx)
        return text


AGENT = Agent()


def name_or_id(client: CloveClient, text: str) -> str | int:
    """What a text means: an agent's name; or, all digits, an id that no agent has as its name.

    @raise ConnectionLost: there is no kernel.
    """
    if not (text.isascii() and text.isdigit()):
        return text
    try:
        client.wait(text, timeout=0)
    except NotFound:
        return int(text)
    except CloveError:  # it lives, or is another's
        return text
    return text
