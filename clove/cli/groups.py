"""Groups of commands that know what a word they do not have was meant for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from clove.cli.help_text import HelpContext
from clove.spelling import near

__all__ = ["LateGroup", "NearGroup"]

OTHERWISE: Final = {
    "stop": "kill",
    "start": "run (anew) or restart",
    "create": "run --detach",
    "list": "ps",
    "agents": "agent (on a machine of a relay) or ps (here)",
    "remove": "prune (an ended agent) or rm (a file)",
    "delete": "prune (an ended agent) or rm (a file)",
    "shell": "exec -it AGENT sh",
    "ssh": "exec -it AGENT sh",
    "console": "exec -it AGENT sh",
    "info": "doctor or inspect",
    "init": "up",
    "serve": "up",
    "version": "--version",
    "volume": "workspace",
    "secret": "run --secret NAME",
}
"""Commands of docker, gh, flyctl and the like, and what does that here."""
SAME: Final = (
    ("rm", "delete", "revoke", "remove"),
    ("list", "ls", "ps"),
    ("show", "get", "inspect"),
)
"""Words for the same in groups of commands, each of which has one of them."""

LONGEST: Final = 400
"""Characters of a sentence in a list of commands."""


class NearGroup(click.Group):
    """Refuses an unknown command with those that are near; `help [COMMAND]` is `[COMMAND] --help`.

    Its help, and that of its commands, is no wider than the terminal.
    """

    context_class = HelpContext

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command."""
        if args[:1] == ["help"] and "help" not in self.list_commands(ctx):
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help: of each the first sentence, whole."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(LONGEST)) for name, each in commands if each]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command."""
        known = tuple(self.list_commands(ctx))
        if args and args[0] not in known and not args[0].startswith("-"):
            other = OTHERWISE.get(args[0], "") if ctx.parent is None else _same(args[0], known)
            meant = f"did you mean {other}?" if other else near(args[0], known)
            ctx.fail(f"no such command {args[0]!r}: {meant}")
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            command.context_class = HelpContext
        return name, command, rest


class LateGroup(NearGroup):
    """Imports a subcommand when it is called, not for --help: what it imports may take long.

    @param table: the names and what they do, in the order of --help.
    @param find: imports the command of a name of the table.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, str],
        find: Callable[[str], click.Command],
        **kw: Any,
    ) -> None:
        super().__init__(*args, **kw)
        self._table = table
        self._find = find

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        return self._find(cmd_name) if cmd_name in self._table else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._table.items()))


def _same(name: str, known: tuple[str, ...]) -> str:
    """The known command that does what this one does elsewhere; "" if there is none."""
    words = next((words for words in SAME if name in words), ())
    return " or ".join(word for word in words if word in known)
