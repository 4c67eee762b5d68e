"""`clove logout`."""

from __future__ import annotations

import click

from clove.cli.console import Console
from clove.cli.fleet.config_types import CONTEXT
from clove.errors import NotAuthenticated

__all__ = ["logout"]


@click.command(
    epilog="""\b
Examples:
  clove logout                 the current context has no token any more
  clove logout prod --revoke   ... and the relay does not take it any more

The context itself stays: clove config remove takes that away."""
)
@click.argument("name", type=CONTEXT, required=False)
@click.option("--revoke", is_flag=True, help="Make the token invalid, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def logout(console: Console, name: str | None, revoke: bool, as_json: bool) -> None:
    """Forget a context's token."""
    from clove.cli.fleet.config import named_context
    from clove.cli.fleet.config_file import read_config
    from clove.cli.fleet.kept_token import forget_token

    console.as_json = console.as_json or as_json
    found = read_config()
    name = name or named_context(console, found.current)
    values = found.context(name)
    if revoke:
        _revoke(console, name)
    forget_token(name, values)
    outside = next((key for key in ("token_file", "token_command") if key in values), None)
    if console.as_json:
        console.data({"context": name, "revoked": revoke})
        return
    console.line(f"context {name} has no token any more{', and it was revoked' if revoke else ''}")
    if outside and not revoke:
        console.remark(f"the token itself is still there: {outside} was {values[outside]}")


def _revoke(console: Console, name: str) -> None:
    """@raise CloveError: the relay was not reached; nothing is changed then."""
    from clove.cli.fleet.context import chosen_context

    try:
        chosen_context(name).fleet().revoke_token()
    except NotAuthenticated:
        console.remark("the relay did not take it any more")
