"""How a machine of a relay is named on a command line; a shell completes it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import click

from clove.errors import CloveError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["MACHINE", "machine_names"]

SECONDS: Final = 1.0
"""For a relay to answer a shell that completes."""


class MachineName(click.ParamType):  # type: ignore[type-arg]
    """A machine's id."""

    name = "machine"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Machines that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in machine_names(ctx) if name.startswith(incomplete)]


MACHINE: Final = MachineName()


def machine_names(ctx: click.Context) -> list[str]:
    """The machines of the relay that a command line means; none where it does not answer in time."""
    from clove.cli.fleet.context import chosen_context
    from clove.client.fleet import FleetClient

    given: dict[str, str | None] = dict.fromkeys(("context", "relay", "token_file", "ca_file"))
    here: click.Context | None = ctx
    while here is not None:
        for name, value in given.items():
            given[name] = value or here.params.get(name)
        here = here.parent
    with contextlib.suppress(CloveError, OSError):
        chosen = chosen_context(given.pop("context"), **given)
        fleet = FleetClient(chosen.relay, chosen.token(), ca_file=chosen.ca_file, timeout=SECONDS)
        return [str(each["machine_id"]) for each in fleet.machines()]
    return []
