"""`clove machines show`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE
from clove.cli.fleet.near_machine import near_machine
from clove.cli.fleet.relay_options import relay_options
from clove.cli.text import short_time
from clove.errors import PermissionDenied

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["show_machine"]


@click.command(
    "show",
    epilog="\b\nExamples:\n  clove machines show build-7\n  clove machines show build-7 --json",
)
@click.argument("machine", type=MACHINE)
@relay_options
def show_machine(console: Console, fleet: FleetClient, machine: str) -> None:
    """Show what is known of a machine."""
    with near_machine(fleet, machine):
        found = fleet.machine(machine)
    if console.as_json:
        console.data(found)
        return
    for key, value in (*_facts(found), *_join_tokens(fleet, machine)):
        console.entry(f"{key + ':':<12}{value}", indent=12)


def _facts(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    name = found["name"]
    yield "machine", found["machine_id"] + (f" ({name})" if name else "")
    since = found["presence_since"]
    yield "presence", found["presence"] + (f" since {short_time(since)} UTC" if since else "")
    if found["draining"]:
        yield (
            "draining",
            f"nothing new is started (clove machines drain {found['machine_id']} --off)",
        )
    yield "address", found["ip_address"] or "-"
    labels = " ".join(f"{key}={value}" for key, value in sorted(found["labels"].items()))
    yield "labels", labels or "-"
    if found["provider"]:
        yield "provider", found["provider"]
    versions = ", ".join(f"{key} {value}" for key, value in found["versions"].items())
    yield "versions", versions or "-"
    yield "registered", f"{short_time(found['created_at'])} UTC"
    yield "key", "its own, which it proves" if found["has_key"] else "none: it shows a token"
    yield "sandbox", _sandbox(found)
    for flag in found["flags"]:
        yield "flag", f"{flag['what']} at {short_time(flag['at'])} UTC"
    for key, value in found["metadata"].items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield "metadata", f"{key} = {text}"


def _join_tokens(fleet: FleetClient, machine: str) -> Iterator[tuple[str, str]]:
    """Those with which it still can join; tokens of kind admin alone see them."""
    with contextlib.suppress(PermissionDenied):
        for token in fleet.tokens():
            if token["type"] == "join" and token["machine_id"] == machine and token["valid"]:
                until = f"open until {short_time(token['expires_at'])} UTC"
                yield "join token", f"{until} (clove tokens revoke {token['id']})"


def _sandbox(found: dict[str, Any]) -> str:
    works = found["isolation"].get("sandbox")
    if works is None:
        return "not known yet"
    more = f"clove machines doctor {found['machine_id']}"
    return f"works ({more})" if works is True else f"cannot be had ({more} says why)"
