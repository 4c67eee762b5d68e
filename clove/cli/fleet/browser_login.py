"""A token that somebody who is logged in on the relay's page confirms by a code; no secret is copied by hand."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

from clove.cli.text import counted
from clove.errors import ConnectionLost, InvalidRequest, NotFound, TimedOut

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.fleet import FleetClient

__all__ = ["confirmed_token"]


def confirmed_token(console: Console, relay: str, ca_file: str | None) -> str:
    """Show a code, and wait until it was confirmed.

    @raise CloveError: it was refused, or it was not confirmed in time.
    """
    from clove.cli.fleet.context import fleet_client

    fleet = fleet_client(relay, "", ca_file)
    try:
        begun = fleet.begin_login(_own_name())
    except NotFound:
        raise InvalidRequest(
            "this relay has no login by its page: it is of an earlier version",
            hint="log in with a token: clove login URL",
        ) from None
    page = f"{relay.rstrip('/')}/#/login"
    if console.as_json:
        console.data({"event": "code", "url": page, "user_code": begun["user_code"]})
    else:
        minutes = begun["seconds"] / 60
        console.line(f"open {page} where you are logged in, and type {begun['user_code']}")
        console.remark(f"waiting for that, up to {counted(round(minutes), 'minute')}")
    _show_page(page)
    return _collected(fleet, begun)


def _collected(fleet: FleetClient, begun: dict[str, Any]) -> str:
    deadline = time.monotonic() + begun["seconds"]
    while time.monotonic() < deadline:
        time.sleep(begun["interval"])
        try:
            found = fleet.collect_login(begun["device_code"])
        except (ConnectionLost, TimedOut):  # it may come back
            continue
        if found["status"] == "confirmed":
            return str(found["token"]["token"])
    raise TimedOut("nobody has confirmed the code", hint="run clove login --browser again")


def _own_name() -> str:
    """What this computer is called there: `ann@laptop`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    name = f"{user}@{socket.gethostname()}"
    return "".join(each for each in name if each.isprintable())[:128]


def _show_page(page: str) -> None:
    """Open it where there is a desktop; a browser in this terminal would take it over."""
    program = shutil.which("xdg-open")
    if program is None or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    with contextlib.suppress(OSError):  # the address was shown
        subprocess.Popen(
            [program, page],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
