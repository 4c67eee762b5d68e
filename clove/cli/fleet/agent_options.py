"""What is run on machines of a relay: a script or a program, and how."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
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
SOCKET: Final = "/tmp/clove.sock"  # noqa: S108 the first argument of each script
MOST: Final = 512 << 10
"""Bytes of a script."""

_OPTIONS: Final = (
    click.option("--name", default="", help="The agent's name [default: from the script's]."),
    click.option("-d", "--detach", is_flag=True, help="Start it and leave it."),
    click.option("--key", default="", help="A repeated call with this key starts nothing twice."),
    seconds_option("--timeout", "End it after so long (30, 10m)."),
    click.option(
        "--dir",
        "directory",
        type=click.Path(exists=True, file_okay=False),
        help="Send this directory, and run SCRIPT in it: a file of it, or any program.",
    ),
    click.option(
        "--requirements",
        type=click.Path(exists=True, dir_okay=False),
        help="Have pip install these there first.",
    ),
    click.option(
        "--network", is_flag=True, help="It may connect to hosts, as far as the kernel says."
    ),
    click.argument("script"),
    click.argument("args", nargs=-1, type=click.UNPROCESSED),
)


def deploy_options(function: F) -> F:
    """Give a subcommand these options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class Deployment:
    """What was read of files, and what is asked for it.

    @param directory: is sent, and the script is a file of it, or a program; None: a script alone.
    @param key: of the call; "": it is not repeatable.
    @param options: as L{FleetClient.deploy} has them; empty ones are left out.
    @raise InvalidRequest: this is no script, or too much.
    """

    def __init__(
        self,
        script: str,
        args: tuple[str, ...],
        key: str,
        directory: str | None = None,
        requirements: str | None = None,
        **options: Any,
    ) -> None:
        self._key = key
        self._options = {name: value for name, value in options.items() if value}
        if directory is None and requirements is None:
            name, text = os.path.basename(script), _read(script)
            self._what: dict[str, Any] = {"script_name": name, "script_content": text}
            self._options["args"] = list(args)
            return
        from clove.cli.archive import pack_directory, pack_script

        command = [script, *args]
        if directory is None:
            _read(script)
            archive, name = pack_script(script), os.path.basename(script)
            command = ["python3", name, SOCKET, *args]
        else:
            archive = pack_directory(directory)
            if script.endswith(".py") and os.path.isfile(os.path.join(directory, script)):
                command = ["python3", script, SOCKET, *args]
        self._what = {"command": command, "archive": archive}
        self._options["requirements"] = _read(requirements) if requirements else ""

    def start(self, fleet: FleetClient, machine: str, *, attach: bool = False) -> dict[str, Any]:
        """Start it on one machine.

        @param attach: its output is read from the first byte on, and at our pace.
        """
        key = self._key
        return fleet.deploy(
            machine, **self._what, idempotency_key=key, attach=attach, **self._options
        )

    def start_on_all(
        self, fleet: FleetClient, selector: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Start it on all machines that are chosen; gives a result for each."""
        return fleet.deploy_on_all(
            **self._what, selector=selector, idempotency_key=self._key, **self._options
        )


def _read(script: str) -> str:
    try:
        with open(script, "rb") as file:
            raw = file.read(MOST + 1)
    except OSError as error:
        raise InvalidRequest(
            f"cannot read {script}: {error.strerror}", hint="a program is run with --dir"
        ) from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{script} is no UTF-8") from None
    if len(raw) > MOST:
        raise InvalidRequest(f"{script} has more than {MOST} bytes")
    return text
