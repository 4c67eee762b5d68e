"""How the commands for a relay find it, and the token that they show it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from clove.cli.console import Console
from clove.cli.fleet.config_types import CONTEXT

__all__ = ["CHOICE", "RELAY_HELP", "choice_options", "label_option", "relay_options"]

F = TypeVar("F", bound=Callable[..., Any])

RELAY_HELP = """Relay and token are those of a context (clove login): of --context NAME, of
$CLOVE_CONTEXT, else of the current one. --relay or $CLOVE_RELAY names another relay, --token-file
or $CLOVE_RELAY_TOKEN another token. Without a context it is http://127.0.0.1:8766, with your secret
`relay-token` (~/.config/clove/secrets/relay-token)."""

CHOICE: Final[dict[str, dict[str, Any]]] = {
    "--context": {
        "metavar": "NAME",
        "type": CONTEXT,
        "help": "A context of ~/.clove/config.yaml.",
    },
    "--relay": {"metavar": "URL", "help": "The relay's address."},
    "--token-file": {"metavar": "FILE", "help": "File that holds the token."},
    "--ca-file": {"metavar": "FILE", "help": "Certificates to trust instead of the host's."},
}
"""The options that say which relay, and by which token."""


def choice_options(function: F, left_out: str = "") -> F:
    """Give a command the options of L{CHOICE}.

    @param left_out: one that it does not have.
    """
    for flag in reversed([each for each in CHOICE if each != left_out]):
        function = click.option(flag, **CHOICE[flag])(function)
    return function


def relay_options(function: F) -> F:
    """Give a subcommand the relay: the console and a client of it as first arguments."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @choice_options
    @click.pass_obj
    def command(
        console: Console,
        /,
        *args: Any,
        as_json: bool,
        context: str | None,
        relay: str | None,
        token_file: str | None,
        ca_file: str | None,
        **kw: Any,
    ) -> Any:
        from clove.cli.fleet.context import chosen_context

        console.as_json = console.as_json or as_json
        console.context = context or console.context
        chosen = chosen_context(
            console.context, relay=relay, token_file=token_file, ca_file=ca_file
        )
        console.relay = chosen
        fleet = chosen.fleet()
        fleet.on_version = functools.partial(console.remark_version, "relay")
        return function(console, fleet, *args, **kw)

    return functools.update_wrapper(command, function)  # type: ignore[return-value]


def label_option(help_text: str) -> Callable[[F], F]:
    """--label KEY=VALUE, more than once."""
    return click.option(
        "--label", "labels", metavar="KEY=VALUE", multiple=True, callback=_labels, help=help_text
    )


def _labels(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", ctx, param)
        found[key] = value
    return found
