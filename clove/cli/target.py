"""How a person says which agent is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clove.errors import CloveError, NotFound

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from clove.client.blocking import CloveClient

__all__ = ["AGENT", "agent_names", "name_or_id"]

ENDED_TOO = ("inspect", "logs", "prune", "rename", "wait")
"""Commands that are for ended agents as well."""


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

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of agents that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in agent_names(ctx) if name.startswith(incomplete)]


AGENT = Agent()


def agent_names(ctx: click.Context) -> list[str]:
    """Names of agents, for a shell to complete; none where no kernel answers in a second.

    @param ctx: of the command whose words are completed.
    """
    from clove.cli.console import Console
    from clove.client.limits import ClientLimits

    given: dict[str, str | None] = {"socket": None, "context": None, "machine": None}
    here: click.Context | None = ctx
    while here is not None:
        for name, value in given.items():
            given[name] = value or here.params.get(name)
        here = here.parent
    context = given["context"]
    if given["machine"]:
        context = f"{(context or '').partition('/')[0]}/{given['machine']}"
    console = Console(given["socket"], as_json=False, context=context)
    try:
        with console.client(timeout=1.0, limits=ClientLimits(reconnects=1)) as client:
            ended = ctx.command.name in ENDED_TOO
            return [str(one["name"]) for one in client.list_agents(all=ended or None)]
    except (CloveError, click.UsageError):
        return []


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
