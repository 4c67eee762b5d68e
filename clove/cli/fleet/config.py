"""`clove config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from clove.cli.console import Console
from clove.cli.fleet.config_types import CONTEXT, KEY, config_options
from clove.cli.groups import NearGroup
from clove.cli.tables import make_table, print_table
from clove.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["config"]

SHOWN: Final = ("relay", "hub", "ca_file", "machine")


@click.group(
    cls=NearGroup,
    epilog="""\b
Examples:
  clove config list
  clove config show                    what counts now: file and environment
  clove config use prod                commands mean this relay from now on
  clove config set machine build-7     ... and this machine
  clove config set machine ''          ... and none any more
  clove config set token_command 'pass show clove/prod'
  clove config remove prod

Contexts are in ~/.clove/config.yaml, which is yours alone (mode 600): a relay each, where its
token is, and perhaps a machine. `clove login` makes them. $CLOVE_CONTEXT, $CLOVE_RELAY,
$CLOVE_RELAY_TOKEN, $CLOVE_RELAY_CA_FILE and $CLOVE_MACHINE come before the file. --json goes
with each.""",
)
def config() -> None:
    """Show and change contexts: which relay is asked, with which token."""


@config.command("list", epilog="\b\nExamples:\n  clove config list")
@config_options
def list_contexts(console: Console) -> None:
    """List the contexts; the current one has a star."""
    from clove.cli.fleet.config_file import read_config

    found = read_config()
    if console.as_json:
        for name, values in found.contexts.items():
            shown = {key: values.get(key) for key in SHOWN}
            console.data(
                {"name": name, "current": name == found.current, **shown, "token": _source(values)}
            )
        return
    rows = []
    for name, values in found.contexts.items():
        star = "*" if name == found.current else ""
        token, machine = _source(values) or "none", values.get("machine", "-")
        rows.append((star, name, token, machine, values["relay"]))
    if not rows:
        console.remark("there is no context; make one: clove login URL")
    print_table(make_table(("", "NAME", "TOKEN", "MACHINE", "RELAY"), rows))


@config.command("show", epilog="\b\nExamples:\n  clove config show\n  clove config show prod")
@click.argument("name", type=CONTEXT, required=False)
@config_options
def show_context(console: Console, name: str | None) -> None:
    """Show what counts: of a context, or now, with what the environment says. Tokens are not shown."""
    from clove.cli.fleet.context import chosen_context

    chosen = chosen_context(name or console.context)
    shown = {
        "context": chosen.name or None,
        "relay": chosen.relay,
        "hub": chosen.hub,
        "ca_file": chosen.ca_file,
        "machine": chosen.machine,
        "token": chosen.token_source(),
    }
    if console.as_json:
        console.data(shown)
        return
    for key, value in shown.items():
        console.line(f"{key + ':':<9}{'-' if value is None else value}")


@config.command("get", epilog="\b\nExamples:\n  clove config get relay")
@click.argument("key", type=KEY)
@config_options
def get_value(console: Console, key: str) -> None:
    """Print one value of a context; never a token."""
    from clove.cli.fleet.config_file import read_config

    if key == "token":
        raise InvalidRequest("a token is not shown", hint="clove tokens create makes another")
    found = read_config()
    name = named_context(console, found.current)
    value = found.context(name).get(key)
    if console.as_json:
        console.data({"context": name, "key": key, "value": value})
    elif value is not None:
        console.line(value)
    else:
        raise NotFound(f"context {name} has no {key}", hint=f"clove config set {key} VALUE")


@config.command("set", epilog="\b\nExamples:\n  clove config set machine build-7")
@click.argument("key", type=KEY)
@click.argument("value")
@config_options
def set_value(console: Console, key: str, value: str) -> None:
    """Change one value of a context; an empty one takes it away."""
    from clove.cli.fleet.config_edit import with_context
    from clove.cli.fleet.config_file import TOKEN_KEYS, checked_value, read_config
    from clove.cli.fleet.config_store import update_config

    found = read_config()
    name = named_context(console, found.current)
    found.context(name)
    if key == "token" and value:
        raise InvalidRequest(
            "a token in a command line is seen by others, and stays in the shell's history",
            hint=f"clove login --name {name} asks for it, or takes it from standard input",
        )
    changes: dict[str, str | None] = {key: value or None}
    if value:
        checked_value(key, value, f"context {name}")
        if key in TOKEN_KEYS:  # one of them is there
            changes |= {each: None for each in TOKEN_KEYS if each in found.context(name)}
            changes[key] = value
    elif key not in found.context(name):
        changes = {}
    update_config(lambda text: with_context(text, name, changes))
    if console.as_json:
        console.data({"context": name, "key": key, "value": None if key == "token" else value})
    else:
        console.line(f"{name}: {key} is {value}" if value else f"{name}: no {key}")


@config.command("use", epilog="\b\nExamples:\n  clove config use prod")
@click.argument("name", type=CONTEXT)
@config_options
def use_context(console: Console, name: str) -> None:
    """Make a context the current one."""
    from clove.cli.fleet.config_edit import with_current
    from clove.cli.fleet.config_file import read_config
    from clove.cli.fleet.config_store import update_config

    relay = read_config().context(name)["relay"]
    update_config(lambda text: with_current(text, name))
    if console.as_json:
        console.data({"current": name, "relay": relay})
    else:
        console.line(f"{name} ({relay}) is the current context")


@config.command("remove", epilog="\b\nExamples:\n  clove config remove prod")
@click.argument("name", type=CONTEXT)
@config_options
def remove_context(console: Console, name: str) -> None:
    """Remove a context; its token stays valid (clove logout --revoke ends it)."""
    from clove.cli.fleet.config_edit import without_context
    from clove.cli.fleet.config_file import read_config
    from clove.cli.fleet.config_store import update_config

    read_config().context(name)
    update_config(lambda text: without_context(text, name))
    if console.as_json:
        console.data({"removed": name})
    else:
        console.line(f"removed {name}")


def named_context(console: Console, current: str) -> str:
    """The context that a command changes: C{--context}, else $CLOVE_CONTEXT, else the current one.

    @raise NotFound: there is none.
    """
    import os

    given = console.context or os.environ.get("CLOVE_CONTEXT") or ""
    name = given.partition("/")[0] or current
    if not name:
        raise NotFound("no context is current", hint="clove config use NAME, or --context NAME")
    return name


def _source(values: Mapping[str, str]) -> str | None:
    """The key that says where the token is."""
    from clove.cli.fleet.config_file import TOKEN_KEYS

    return next((key for key in TOKEN_KEYS if key in values), None)
