"""Tokens that `clove login` keeps, and `clove logout` removes: in the file of contexts, or in the keyring."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, Final

from clove.cli.fleet.config_file import TOKEN_KEYS
from clove.errors import NotFound, TimedOut, Unavailable

__all__ = ["checked_token", "forget_token", "keep_token"]

PATIENCE: Final = 60
"""Seconds that the keyring may take, in which it may ask for its password."""


def checked_token(relay: str, token: str, ca_file: str | None) -> dict[str, Any]:
    """What the relay says of a token: id, type, name, expires_at, ...

    @raise CloveError: it is not valid, or the relay was not reached.
    """
    from clove.cli.fleet.context import fleet_client

    fleet = fleet_client(relay, token, ca_file)
    try:
        return fleet.token()
    except NotFound:  # a relay of an earlier version does not say
        fleet.status()
    kind = token.split("_")[1]
    return {"id": "-", "type": kind, "name": "", "expires_at": None}


def keep_token(name: str, values: Mapping[str, str], token: str, *, keyring: bool) -> str:
    """Keep a context with its token, and make it the current one; says where the token is.

    @raise CloveError: it cannot be kept.
    """
    from clove.cli.fleet.config_edit import with_current
    from clove.cli.fleet.config_store import update_config

    where: dict[str, str | None] = dict.fromkeys(TOKEN_KEYS)
    if keyring:
        where["token_keyring"] = f"relay-token/{name}"
        _secret_tool("store", "--label", f"Clove: {name}", name=f"relay-token/{name}", text=token)
    else:
        where["token"] = token
    update_config(lambda text: with_current(_with(text, name, {**where, **values}), name))
    return "in the keyring" if keyring else "in ~/.clove/config.yaml"


def _with(text: str, name: str, values: Mapping[str, str | None]) -> str:
    """The context with these values; those that are to go and are not there are no change."""
    from clove.cli.fleet.config_edit import with_context
    from clove.cli.fleet.config_file import parse_config

    old = parse_config(text).contexts.get(name, {})
    changes = {key: value for key, value in values.items() if value is not None or key in old}
    return with_context(text, name, changes)


def forget_token(name: str, values: Mapping[str, str]) -> None:
    """Remove a context's token from where L{keep_token} has put it; the context stays.

    @raise CloveError: it cannot be removed.
    """
    from clove.cli.fleet.config_store import update_config

    if "token_keyring" in values:
        _secret_tool("clear", name=values["token_keyring"])
    update_config(lambda text: _with(text, name, dict.fromkeys(TOKEN_KEYS)))


def _secret_tool(*words: str, name: str, text: str = "") -> None:
    """Ask the keyring; the token goes by standard input.

    @raise NotFound: there is no such program.
    @raise Unavailable: it fails.
    """
    from clove.cli.secret_sources import keyring_words

    tool = shutil.which("secret-tool")
    if tool is None:
        raise NotFound(
            "there is no secret-tool here, by which the keyring is reached",
            hint="install it (Debian: libsecret-tools), or log in without --keyring",
        )
    command = [tool, *words, *keyring_words(name)]
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimedOut(f"the keyring has not answered in {PATIENCE} s") from None
    except OSError as error:
        raise Unavailable(f"secret-tool: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise Unavailable(
            f"the keyring does not take it: {said or f'exit code {done.returncode}'}",
            hint="is it unlocked? Or log in without --keyring",
        )
