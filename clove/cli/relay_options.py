"""How the commands for a relay find it, and the token that they show it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clove.cli.console import Console
from clove.errors import NotFound

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["RELAY_HELP", "label_option", "relay_options"]

F = TypeVar("F", bound=Callable[..., Any])

SECRET = "relay-token"  # noqa: S105 its name
RELAY_HELP = """\b
The relay is --relay, else $CLOVE_RELAY, else http://127.0.0.1:8766. The token is in --token-file, else
in $CLOVE_RELAY_TOKEN, else it is your secret `relay-token` (~/.config/clove/secrets/relay-token)."""


def relay_options(function: F) -> F:
    """Give a subcommand the relay: the console and a client of it as first arguments."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @click.option("--relay", metavar="URL", envvar="CLOVE_RELAY", help="The relay's address.")
    @click.option("--token-file", metavar="FILE", help="File that holds the token.")
    @click.option(
        "--ca-file",
        metavar="FILE",
        envvar="CLOVE_RELAY_CA_FILE",
        help="Certificates to trust instead of the host's.",
    )
    @click.pass_obj
    def command(
        console: Console,
        /,
        *args: Any,
        as_json: bool,
        relay: str | None,
        token_file: str | None,
        ca_file: str | None,
        **kw: Any,
    ) -> Any:
        console.as_json = console.as_json or as_json
        return function(console, _client(relay, token_file, ca_file), *args, **kw)

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


def _client(relay: str | None, token_file: str | None, ca_file: str | None) -> FleetClient:
    from clove.client.fleet import DEFAULT_RELAY, FleetClient

    return FleetClient(relay or DEFAULT_RELAY, _token(token_file), ca_file=ca_file)


def _token(token_file: str | None) -> str:
    """@raise CloveError: there is none, or it cannot be read."""
    from clove.cli.option_types import Secret
    from clove.cli.secret_sources import read_secret, secret_path

    if token_file is None and (given := os.environ.get("CLOVE_RELAY_TOKEN")):
        return given.strip()
    try:
        return read_secret(Secret(SECRET, f"@{token_file}" if token_file else "")).strip()
    except NotFound:
        raise NotFound(
            "there is no token for the relay",
            hint=f"write one into {secret_path(SECRET)} (chmod 600), or name its file with "
            "--token-file; a relay shows the first at its first start. For agents of this machine: "
            "clove ps",
        ) from None
