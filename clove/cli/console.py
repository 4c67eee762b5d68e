"""What every subcommand has: the client, and the two ways of speaking.

For people: text on stdout, remarks on stderr, cleaned of control characters
where it goes to a terminal. For machines (`--json`): one JSON value a line on
stdout, nothing else there.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clove.cli.text import clean

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient
    from clove.errors import CloveError

__all__ = ["Console", "command_options"]

F = TypeVar("F", bound=Callable[..., Any])


class Console:
    """The settings that all subcommands share.

    @ivar socket: the kernel's, or None for the usual one.
    @ivar as_json: print JSON, for programs.
    @ivar context: NAME or NAME/MACHINE, as `--context` has it; None: what the environment or the file says.
    """

    def __init__(self, socket: str | None, as_json: bool, context: str | None = None) -> None:
        self.socket = socket
        self.as_json = as_json
        self.context = context

    def client(self) -> CloveClient:
        """A client, not connected yet."""
        from clove.client.blocking import CloveClient

        return CloveClient(self.socket)

    def data(self, value: Any) -> None:
        """A value for a machine."""
        click.echo(json.dumps(value, ensure_ascii=False))

    def line(self, text: str, *, stream: str = "stdout", newline: bool = True) -> None:
        """One line of text, or a piece of one, to stdout or stderr."""
        target = sys.stderr if stream == "stderr" else sys.stdout
        shown = clean(text) if target.isatty() else text
        click.echo(shown, file=target, color=True, nl=newline)

    def remark(self, text: str) -> None:
        """A word about what happens, on stderr; machines don't get it."""
        if not self.as_json:
            click.echo(_one_line(f"clove: {text}"), err=True)

    def error(self, error: CloveError) -> None:
        """Say what went wrong, in one line."""
        if self.as_json:
            self.data(error.fields())
            return
        rule = f" (rule: {error.rule})" if error.rule else ""
        hint = f" - {error.hint}" if error.hint else ""
        click.echo(_one_line(f"clove: {error.message}{rule}{hint}"), err=True)


def _one_line(text: str) -> str:
    return clean(" ".join(text.splitlines()))


def command_options(function: F) -> F:
    """Give a subcommand --json and --socket too, and the console as first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @click.option("--socket", metavar="PATH", default=None, help="The kernel's socket.")
    @click.pass_obj
    def command(
        console: Console, /, *args: Any, as_json: bool, socket: str | None, **kw: Any
    ) -> Any:
        console.as_json = console.as_json or as_json
        console.socket = socket or console.socket
        return function(console, *args, **kw)

    return functools.update_wrapper(command, function)  # type: ignore[return-value]
