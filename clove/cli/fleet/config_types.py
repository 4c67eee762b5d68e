"""Words of `clove config` and `clove login`, which a shell completes: names of contexts and keys."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clove.cli.console import Console
from clove.errors import CloveError
from clove.spelling import near

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["CONTEXT", "KEY", "config_options", "context_names"]

F = TypeVar("F", bound=Callable[..., Any])


def context_names() -> list[str]:
    """The names of the contexts; none if the file cannot be read."""
    from clove.cli.fleet.config_file import read_config

    try:
        return list(read_config().contexts)
    except CloveError:
        return []


class _Context(click.ParamType):  # type: ignore[type-arg]
    """The name of a context; whether there is one, the command says."""

    name = "context"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(each) for each in context_names() if each.startswith(incomplete)]


class _Key(click.ParamType):  # type: ignore[type-arg]
    """A key of a context."""

    name = "key"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """One that is known."""
        from clove.cli.fleet.config_file import CONTEXT_KEYS

        text = str(value)
        if text not in CONTEXT_KEYS:
            self.fail(f"no key {text!r}: {near(text, CONTEXT_KEYS)}", param, ctx)
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those that begin so."""
        from click.shell_completion import CompletionItem

        from clove.cli.fleet.config_file import CONTEXT_KEYS

        return [CompletionItem(each) for each in CONTEXT_KEYS if each.startswith(incomplete)]


CONTEXT = _Context()
KEY = _Key()


def config_options(function: F) -> F:
    """Give a subcommand --json and --context, and the console as first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @click.option("--context", metavar="NAME", type=CONTEXT, help="Of this context.")
    @click.pass_obj
    def command(
        console: Console, /, *args: Any, as_json: bool, context: str | None, **kw: Any
    ) -> Any:
        console.as_json = console.as_json or as_json
        console.context = context or console.context
        return function(console, *args, **kw)

    return functools.update_wrapper(command, function)  # type: ignore[return-value]
