"""What a kernel or a relay advises, in the words of somebody at a command line. Pure."""

from __future__ import annotations

import re
import shlex
from typing import Final

__all__ = ["for_commands", "on_a_machine"]

_ASKS: Final = re.compile(
    r"\bclove (?=(ps|logs|kill|wait|inspect|restart|attach|exec|prune|update|events)\b)"
)
"""Commands that ask a kernel."""
_THERE: Final = re.compile(r"\bclove (\w+) there\b")
"""What is for a command on the machine itself."""
_BESIDE: Final = re.compile(
    r"(?:(?:GET|POST|PUT|PATCH|DELETE) )?(?:/api/v1/\S+|`\w+` \w+|\b[A-Z_]{3,}) \((clove [^)]+)\)"
)
"""A route, a field's value or a syscall, and the command that does the same."""
_ASIDE: Final = re.compile(r" \((?:(?:GET|POST|PUT|PATCH|DELETE) )?/api/v1/[^)]*\)")
_ROUTE: Final = "/api/v1/"


def for_commands(hint: str) -> str:
    """The same with commands in place of routes of REST and of syscalls; what is about routes alone is left out."""
    found = _ASIDE.sub("", _BESIDE.sub(r"\1", hint))
    return "; ".join(part for part in found.split("; ") if _ROUTE not in part)


def on_a_machine(hint: str, context: str) -> str:
    """The same, with commands for the machine that it is about.

    @param context: that names the machine, as C{--context} has it.
    """
    name, _, machine = context.partition("/")
    named = f"--context {shlex.quote(name)} " if name else ""
    ssh = f"clove {named}machines ssh {shlex.quote(machine)} -- clove"
    hint = _ASKS.sub(lambda _: f"clove --context {shlex.quote(context)} ", hint)
    return _THERE.sub(lambda found: f"{ssh} {found[1]}", hint)
