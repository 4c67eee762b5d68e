"""Names of a fleet as arguments: what is typed, and what a shell completes of it.

Completion asks the relay, for a second at most, and says nothing where that does not answer.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from clove.client.fleet import FleetClient

__all__ = ["MACHINE", "TOKEN", "NameOf"]

SECONDS: Final = 1.0
MOST: Final = 1000
"""Names that a shell is given."""

Look = Callable[["FleetClient", click.Context], Iterable[tuple[str, str]]]
"""Gives names, each with a remark."""


class NameOf(click.ParamType):  # type: ignore[type-arg]
    """The name of something at a relay, which says itself whether it is there.

    @param name: what the argument is called.
    @param look: asks for all names.
    @param form: a regular expression of what can be one.
    @param hint: what is said of anything else, which is not shown: it may be a secret.
    """

    def __init__(self, name: str, look: Look, form: str = ".+", hint: str = "it is empty") -> None:
        self.name = name
        self._look = look
        self._form = re.compile(form, re.DOTALL)
        self._hint = hint

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The text."""
        text = str(value)
        if not self._form.fullmatch(text):
            self.fail(f"this is no {self.name}: {self._hint}", param, ctx)
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Those that begin so."""
        from click.shell_completion import CompletionItem

        found = _within_a_second(lambda: list(islice(self._look(_fleet(ctx), ctx), MOST)))
        return [
            CompletionItem(name, help=remark or None)
            for name, remark in found
            if name.startswith(incomplete)
        ]


def _fleet(ctx: click.Context) -> FleetClient:
    """The relay that the words typed so far name."""
    from clove.cli.fleet.context import chosen_context

    given = {name: _given(ctx, name) for name in ("context", "relay", "token_file", "ca_file")}
    chosen = chosen_context(given.pop("context"), **given)
    return chosen.fleet(timeout=SECONDS)


def _given(ctx: click.Context | None, name: str) -> str | None:
    """An option's value, of this command or of one above it."""
    while ctx is not None:
        if ctx.params.get(name):
            return str(ctx.params[name])
        ctx = ctx.parent
    return None


def _within_a_second(look: Callable[[], list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """What was found; nothing if that fails or takes longer."""
    if "_CLOVE_COMPLETE" in os.environ:  # what a command of the user's says would be on the prompt
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    found: list[tuple[str, str]] = []

    def run() -> None:
        with contextlib.suppress(Exception):  # a prompt is no place to tell of it
            found.extend(look())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return [] if thread.is_alive() else found


def _machines(fleet: FleetClient, _ctx: click.Context) -> Iterable[tuple[str, str]]:
    return ((each["machine_id"], each["presence"]) for each in fleet.machines())


def _tokens(fleet: FleetClient, _ctx: click.Context) -> Iterable[tuple[str, str]]:
    return (
        (each["id"], f"{each['type']} {each['name']}".strip())
        for each in fleet.tokens()
        if each["valid"]
    )


MACHINE: Final = NameOf("machine", _machines)
TOKEN: Final = NameOf(
    "token's id", _tokens, "[0-9a-f]{16}", "it has 16 hexadecimal digits (clove tokens list)"
)
