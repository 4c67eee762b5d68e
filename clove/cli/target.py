"""How a person says which agent is meant."""

from __future__ import annotations

import click

__all__ = ["AGENT"]


class Agent(click.ParamType):  # type: ignore[type-arg]
    """A name; or, all digits, an id."""

    name = "agent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        """The name or the id."""
        text = str(value)
        if not text:
            self.fail("an agent's name is not empty", param, ctx)
        return int(text) if text.isascii() and text.isdigit() else text


AGENT = Agent()
