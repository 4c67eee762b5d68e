"""A command that takes an agent and then a program with its own options."""

from __future__ import annotations

import copy

import click

__all__ = ["ProgramCommand"]


class ProgramCommand(click.Command):
    """Takes its options also between AGENT and PROGRAM: no program's name begins with a dash. What follows is the program's.

    A C{--} before AGENT ends them there. It is one that does not allow interspersed arguments.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read them, as if all options stood before AGENT."""
        if not ctx.resilient_parsing:
            agent, *rest = self._behind_options(ctx, args) or [""]
            before = args[: len(args) - len(rest) - 1]
            if rest and rest[0].startswith("-") and "--" not in (rest[0], *before[-1:]):
                program = self._behind_options(ctx, rest)
                own = [word for word in rest[: len(rest) - len(program)] if word != "--"]
                args = [*before, *own, agent, *program]
        return super().parse_args(ctx, args)

    def _behind_options(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What stands behind the options at the beginning, and behind a C{--} that ends them."""
        bare = copy.copy(self)
        bare.params = [each for each in self.params if isinstance(each, click.Option)]
        _, rest, _ = bare.make_parser(ctx).parse_args(list(args))
        return rest
