"""Groups of commands that know what a word they do not have was meant for."""

from __future__ import annotations

from typing import Final

import click

from clove.spelling import near

__all__ = ["NearGroup"]

OTHERWISE: Final = {
    "stop": "kill",
    "start": "run (anew) or restart",
    "create": "run --detach",
    "list": "ps",
    "agents": "ps",
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


class NearGroup(click.Group):
    """Refuses an unknown command with those that are near; `help [COMMAND]` is `[COMMAND] --help`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command."""
        if args[:1] == ["help"] and "help" not in self.list_commands(ctx):
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command."""
        known = tuple(self.list_commands(ctx))
        if args and args[0] not in known and not args[0].startswith("-"):
            other = OTHERWISE.get(args[0], "") if ctx.parent is None else ""
            meant = f"did you mean {other}?" if other else near(args[0], known)
            ctx.fail(f"no such command {args[0]!r}: {meant}")
        return super().resolve_command(ctx, args)
