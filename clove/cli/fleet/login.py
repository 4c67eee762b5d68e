"""`clove login`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from clove.cli.console import Console
from clove.cli.fleet.config_types import CONTEXT
from clove.cli.progress import telling_of
from clove.errors import InvalidRequest
from clove.spelling import shown

if TYPE_CHECKING:
    from clove.cli.fleet.config_file import Config

__all__ = ["login"]


@click.command(
    epilog="""\b
Examples:
  clove login https://relay.example.org:8766     asks for the token
  clove login URL < token                        takes it from standard input
  clove login --name prod --ca-file authority.pem URL
  clove login --browser URL      shows a code, for the relay's page
  clove login --keyring URL      keeps the token in the desktop's keyring
  clove login                    another token for the current context

The token is checked with the relay, then kept in ~/.clove/config.yaml (mode 600), and the
context is the current one: clove machines list, clove agent run, ... mean this relay. A
relay shows its first token at its first start; clove tokens create makes more."""
)
@click.argument("url", required=False)
@click.option("--name", metavar="CONTEXT", type=CONTEXT, help="The context's name.")
@click.option("--ca-file", metavar="FILE", help="Certificates to trust instead of the host's.")
@click.option("--browser", is_flag=True, help="Have it confirmed on the relay's page.")
@click.option("--keyring", is_flag=True, help="Keep the token in the keyring (secret-tool).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def login(
    console: Console,
    url: str | None,
    name: str | None,
    ca_file: str | None,
    browser: bool,
    keyring: bool,
    as_json: bool,
) -> None:
    """Keep a relay and a token for it as a context."""
    from clove.cli.fleet.config_file import checked_value, read_config
    from clove.cli.fleet.kept_token import checked_token, keep_token
    from clove.client.relay_replies import address_of

    console.as_json = console.as_json or as_json
    found = read_config()
    name, values = _context(found, url, name, ca_file)
    for key, value in values.items():
        checked_value(key, value, f"context {name}")
    address_of(values["relay"], False)  # before somebody types a token
    text = _token(console, values, browser)
    with telling_of(console, "asking the relay"):
        token = checked_token(values["relay"], text, values.get("ca_file"))
    where = keep_token(name, values, text, keyring=keyring)
    _told(console, name, values["relay"], token, where)


def _token(console: Console, values: dict[str, str], browser: bool) -> str:
    """From the terminal, from standard input, or by the relay's page."""
    if browser:
        from clove.cli.fleet.browser_login import confirmed_token

        return confirmed_token(console, values["relay"], values.get("ca_file"))
    from clove.cli.fleet.typed_token import typed_token

    return typed_token()


def _context(
    found: Config, url: str | None, name: str | None, ca_file: str | None
) -> tuple[str, dict[str, str]]:
    """The context's name and what it is to have beside the token.

    @raise InvalidRequest: the name cannot be one, or is another relay's.
    """
    from clove.client.fleet import DEFAULT_RELAY

    if url is None and name is None:
        url = os.environ.get("CLOVE_RELAY") or None
    if url is None:
        named = name or found.current
        url = found.context(named)["relay"] if named in found.contexts else DEFAULT_RELAY
        name = named or None
    url = url.rstrip("/")
    same = [each for each, values in found.contexts.items() if values["relay"].rstrip("/") == url]
    if name is None:
        name = found.current if found.current in same else next(iter(same), "") or _name_of(url)
    if not url.startswith(("https://", "http://")):
        host = url.rpartition("//")[2] or "relay.example.org:8766"
        raise InvalidRequest(
            f"{shown(url)!r} is no relay's address: it begins with https:// or http://",
            hint=f"clove login https://{shown(host)}",
        )
    if not name or "/" in name or name != name.strip():
        raise InvalidRequest(f"{name!r} is no name of a context", hint="name it: --name prod")
    old = found.contexts.get(name)
    if old is not None and name not in same:
        raise InvalidRequest(
            f"context {name} is for {old['relay']}",
            hint=f"give this one another name: clove login --name NAME {url}",
        )
    values = {key: value for key, value in (old or {}).items() if key == "ca_file"}
    values["relay"] = old["relay"] if old else url
    if ca_file:
        values["ca_file"] = os.path.abspath(ca_file)
    return name, values


def _name_of(url: str) -> str:
    """A name for a relay's context: C{local} here, else the first part of the host's name."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return "local"
    return host if ":" in host or host.replace(".", "").isdigit() else host.partition(".")[0]


def _told(console: Console, name: str, relay: str, token: dict[str, Any], where: str) -> None:
    from clove.cli.text import short_time

    if console.as_json:
        console.data({"context": name, "relay": relay, "token": token, "kept": where})
        return
    called = f" {token['name']!r}" if token["name"] else ""
    console.entry(f"logged in to {relay} with {token['type']} token {token['id']}{called}")
    expires = token["expires_at"]
    until = f"is valid until {short_time(expires)} UTC" if expires else "never expires"
    console.entry(f"it {until}, and is kept {where}; the current context is {name}")
