"""The group `clove deploy`."""

from __future__ import annotations

import importlib
from typing import Final

import click

from clove.cli.groups import LateGroup

__all__ = ["deploy"]

COMMANDS: Final = {
    "ssh": "To a Linux machine that you reach by ssh.",
    "docker": "To a container of Docker or Podman here.",
    "kubernetes": "To a pool of pods of a Kubernetes cluster.",
    "aws": "To machines on Amazon EC2, made by terraform.",
    "gcp": "To machines on Google Cloud, made by terraform.",
    "upgrade": "Take a deployment to another version, or back.",
    "bundle": "Make an archive that installs Clove without a package index.",
    "list": "List deployments, and how far they are.",
    "show": "Show the steps of a deployment, and what they made.",
}
"""Subcommands; `ssh` is C{command} in the module C{ssh_command} of this package."""

UNDO: Final = ("destroy", "remove", "rm", "delete", "undo", "down")
"""What takes things away elsewhere."""

EPILOG = """\b
Examples:
  clove deploy ssh ann@build-7              a kernel there, which answers at the relay
  clove deploy ssh ann@build-7 --dry-run    what would be done?
  clove deploy ssh ann@build-7              again: goes on, and checks what is there
  clove deploy list
  clove deploy show build-7
  clove deploy upgrade build-7              to the version of this command
  clove deploy upgrade build-7 --back       to the one before
  clove deploy ssh ann@build-7 --destroy    take away what was made, and nothing else

Each step is looked at again in every run; what was killed goes on with the same command.
--json goes with each."""


def _find(name: str) -> click.Command:
    """Import a subcommand."""
    command = importlib.import_module(f"clove.cli.deploy.{name}_command").command
    assert isinstance(command, click.Command)
    return command


class Deployments(LateGroup):
    """Targets, and what is done with deployments by their names."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command; for C{destroy NAME} and the like what does that is said."""
        if args and args[0] in UNDO:
            ctx.fail(f"no such command {args[0]!r}: {_undone_by(args[1:])}")
        return super().resolve_command(ctx, args)


def _undone_by(names: list[str]) -> str:
    from clove.deploy.journal import deployments, read
    from clove.errors import CloveError

    name = next((each for each in names if not each.startswith("-")), "")
    usual = "a deployment is undone by the command that made it, with --destroy"
    try:
        known = deployments()
        if name in known:
            return f"{name} is undone by: {read(name).command} --destroy"
    except CloveError:
        return usual
    shown = f"there is no deployment {name!r}; " if name else ""
    return f"{shown}{usual} (clove deploy list, and show NAME says which that was)"


@click.group(cls=Deployments, table=COMMANDS, find=_find, epilog=EPILOG)
def deploy() -> None:
    """Take machines from nothing to a kernel that answers at a relay, and back."""
