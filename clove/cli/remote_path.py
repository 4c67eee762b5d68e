"""AGENT:PATH, as `clove cp`, `ls`, `cat`, `rm` and `diff` take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from clove.cli.target import agent_names

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["REMOTE", "Remote", "parse_remote"]


class Remote(NamedTuple):
    """A path in an agent's files.

    @ivar agent: its name or id, as it was typed.
    @ivar path: relative paths start where the agent started.
    """

    agent: str
    path: str


def parse_remote(text: str) -> Remote | None:
    """What `AGENT:PATH` says; None: it is a path of this machine.

    A name with a colon in it is meant as long as no slash stands before the last one:
    `a:b:/x` is `/x` of `a:b`; `./a:b` is a file here.
    """
    agent, colon, path = text.partition(":/") if ":/" in text else text.rpartition(":")
    if not colon or "/" in agent or not agent:
        return None
    return Remote(agent, f"/{path}" if colon == ":/" else path or ".")


class RemoteType(click.ParamType):  # type: ignore[type-arg]
    """AGENT:PATH; AGENT alone is its working directory."""

    name = "agent:path"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Remote:
        """The agent and the path."""
        text = str(value)
        found = parse_remote(text)
        if found is None:
            if not text or "/" in text:
                self.fail(f"{text!r} names no agent: it is AGENT:PATH", param, ctx)
            return Remote(text, ".")
        return found

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names of agents that begin so, with the colon."""
        from click.shell_completion import CompletionItem

        names = [] if ":" in incomplete else agent_names(ctx)
        return [CompletionItem(f"{name}:") for name in names if name.startswith(incomplete)]


REMOTE = RemoteType()
