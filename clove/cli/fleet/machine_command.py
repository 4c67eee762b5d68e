"""A command that asks this host's kernel, as one of `clove agent` that asks a machine's. There is one implementation."""

from __future__ import annotations

import copy
from typing import Any, Final

import click

from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE
from clove.cli.fleet.relay_options import CHOICE

__all__ = ["machine_options", "on_machine", "set_machine"]

_HERE: Final = ("socket", "context")
"""Options that say which kernel, where that is one of this host."""


def machine_options() -> list[click.Option]:
    """Options that say which machine of which relay."""
    return [
        click.Option(
            ["--machine"],
            metavar="MACHINE",
            type=MACHINE,
            help="On which one [default: the context's].",
        ),
        *(click.Option([flag], **attributes) for flag, attributes in CHOICE.items()),
    ]


def set_machine(
    console: Console,
    *,
    machine: str | None,
    context: str | None,
    relay: str | None,
    token_file: str | None,
    ca_file: str | None,
) -> None:
    """Have a console's clients be of that machine.

    @raise click.UsageError: none is named.
    """
    from clove.cli.fleet.context import chosen_context

    chosen = chosen_context(
        context or console.context,
        relay=relay,
        token_file=token_file,
        ca_file=ca_file,
        machine=machine,
    )
    if chosen.machine is None:
        raise click.UsageError(
            "which machine? Name --machine MACHINE; `clove machines list` shows them"
        )
    console.remote = chosen


def on_machine(local: click.Command, name: str) -> click.Command:
    """The same command, for a machine.

    @param local: the one of this host; its first argument is the console.
    @param name: under which it is called.
    """
    command = copy.copy(local)
    command.name = name
    kept = [one for one in local.params if one.name not in _HERE]
    command.params = [*kept, *machine_options()]
    examples = (
        f"\b\nThe same as `clove {local.name}`, whose --help has examples, on a machine of a relay:"
    )
    command.epilog = f"{examples}\n  clove agent {name} --machine build-7 {_arguments(local)}"

    @click.pass_obj
    def called(console: Console, /, **given: Any) -> Any:
        asked = {each.name: given.pop(str(each.name)) for each in machine_options()}
        set_machine(console, **asked)
        assert local.callback is not None
        return local.callback(**given, **dict.fromkeys(_HERE))

    command.callback = called
    return command


def _arguments(command: click.Command) -> str:
    """As they stand on the command line."""
    shown = [one.make_metavar(click.Context(command)) for one in command.params]
    arguments = [
        text
        for one, text in zip(command.params, shown, strict=True)
        if isinstance(one, click.Argument) and one.required
    ]
    return "".join(f"{each} " for each in arguments)
