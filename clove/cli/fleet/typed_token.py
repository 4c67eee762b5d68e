"""A token that a person types or pipes: not shown, and in no command line."""

from __future__ import annotations

import sys
from typing import Final

import click

from clove.errors import InvalidRequest

__all__ = ["typed_token"]

MOST: Final = 1024
"""Characters of a token."""


def typed_token() -> str:
    """From the terminal, where it is not shown, or from standard input.

    @raise InvalidRequest: this is no token that a person logs in with.
    """
    typed = sys.stdin.isatty()
    if typed:  # with a default, since click asks for ever where there is none
        text = str(click.prompt("Token", "", hide_input=True, show_default=False, err=True))
    else:
        text = sys.stdin.read(MOST + 1)
    token = text.strip()
    if not token or len(token) > MOST or not token.isascii() or not token.isprintable():
        if typed:
            what = "this is no token" if token else "no token was typed"
            raise InvalidRequest(what, hint="call it again, or: clove login URL < FILE")
        raise InvalidRequest(
            "there is no token on standard input", hint="clove login URL < FILE, or type it"
        )
    if token.startswith("clove_join_"):
        raise InvalidRequest(
            "this is a join token, which is for a machine", hint="clove tunnel join URL MACHINE"
        )
    return token
