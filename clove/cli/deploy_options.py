"""What `clove deploy` and `clove agent run` have in common: a script, and how it is run there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from clove.cli.agents import seconds_option
from clove.errors import InvalidRequest

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["SCRIPT_CONTEXT", "Deployment", "deploy_options"]

F = TypeVar("F", bound=Callable[..., Any])

SCRIPT_CONTEXT: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""What stands behind the script is the script's."""
MOST: Final = 512 << 10
"""Bytes of a script."""

_OPTIONS: Final = (
    click.option("--name", default="", help="The agent's name [default: from the script's]."),
    click.option("-d", "--detach", is_flag=True, help="Start it and leave it."),
    click.option("--key", default="", help="A repeated call with this key starts nothing twice."),
    seconds_option("--timeout", "End it after so long (30, 10m)."),
    click.argument("script", type=click.Path(exists=True, dir_okay=False)),
    click.argument("args", nargs=-1, type=click.UNPROCESSED),
)


def deploy_options(function: F) -> F:
    """Give a subcommand these options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class Deployment:
    """A script that was read, and what is asked for it.

    @param key: of the call; "": it is not repeatable.
    @param options: as L{FleetClient.deploy} has them; empty ones are left out.
    @raise InvalidRequest: this is no script.
    """

    def __init__(self, script: str, args: tuple[str, ...], key: str, **options: Any) -> None:
        self._name = os.path.basename(script)
        self._text = _read(script)
        self._key = key
        self._options = {name: value for name, value in options.items() if value}
        self._options["args"] = list(args)

    def start(self, fleet: FleetClient, machine: str) -> dict[str, Any]:
        """Start it on one machine."""
        key = f"{self._key} {machine}" if self._key else ""
        return fleet.deploy(machine, self._name, self._text, idempotency_key=key, **self._options)


def _read(script: str) -> str:
    with open(script, "rb") as file:
        raw = file.read(MOST + 1)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{script} is no UTF-8") from None
    if len(raw) > MOST:
        raise InvalidRequest(f"{script} has more than {MOST} bytes")
    return text
