"""`clove profile`."""

from __future__ import annotations

from typing import Any

import click

from clove.cli.console import Console, offline_options
from clove.cli.groups import NearGroup
from clove.cli.profile_files import Profile, known_profiles, load_profile
from clove.errors import CloveError

__all__ = ["profile"]

EPILOG = """\b
Examples:
  clove profile list --json
  clove profile show coding > ~/.config/clove/profiles/mine.toml
  clove profile check mine
  clove run --profile coding -- make test

A profile is a TOML file of options of `clove run`, without their dashes. Yours are in
~/.config/clove/profiles (or $XDG_CONFIG_HOME) and hide shipped ones of the same name."""


@click.group(cls=NearGroup, epilog=EPILOG)
def profile() -> None:
    """Show and check profiles: options of `clove run` in a file."""


def _load(name: str) -> Profile:
    from clove.cli.run import run

    return load_profile(name, run)


@profile.command("list")
@offline_options
def list_profiles(console: Console) -> None:
    """List the profiles, and what is wrong with one that cannot be used."""
    for name, path in known_profiles().items():
        try:
            said = _load(name).description
        except CloveError as error:
            said = f"cannot be used: {error.message}"
        if console.as_json:
            console.data({"name": name, "path": str(path), "description": said})
        else:
            console.entry(f"{name:<12} {said}", indent=13)


@profile.command()
@click.argument("name")
@offline_options
def show(console: Console, name: str) -> None:
    """Print a profile as it is in its file."""
    found = _load(name)
    if console.as_json:
        console.data({"name": found.name, "path": str(found.path), "text": found.text})
        return
    for line in found.text.splitlines():
        console.line(line)


@profile.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@offline_options
@click.pass_context
def check(ctx: click.Context, console: Console, names: tuple[str, ...]) -> None:
    """Say whether profiles can be used: exit code 1 if one has an error, or a rule without effect."""
    failed = False
    for name in names:
        try:
            found = _load(name)
        except CloveError as error:
            console.error(error)
            failed = True
            continue
        result: dict[str, Any] = {"name": found.name, "path": str(found.path), "usable": True}
        if console.as_json:
            console.data(result)
        else:
            console.line(f"{found.path}: nothing is wrong with it")
    if failed:
        ctx.exit(1)
