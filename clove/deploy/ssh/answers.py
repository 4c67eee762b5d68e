"""What is asked of the installer on a machine, and what the answers mean."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clove.deploy.programs import Ran
from clove.deploy.ssh import scripts
from clove.deploy.ssh.connection import Connection
from clove.deploy.step import Facts
from clove.errors import NotFound, Unavailable

__all__ = [
    "START_SECONDS",
    "activate",
    "check_ran",
    "in_use",
    "install",
    "last_object",
    "mode_arguments",
    "option_words",
    "read_number",
    "remove_others",
    "start",
    "where_to_look",
]

INSTALL_SECONDS: Final = 600.0
START_SECONDS: Final = 120.0
_NOT_THERE: Final = 3
_RELEASE: Final = re.compile(r"[0-9][0-9A-Za-z.+_-]{0,99}")
_DIGITS: Final = 18


def option_words(facts: Facts) -> list[str]:
    """Options of the installer that say where."""
    return ["--prefix", facts["prefix"], *([] if facts["mode"] == "system" else ["--user"])]


def install(
    connection: Connection, facts: Facts, words: Sequence[str], *, stdin: bytes = b""
) -> Mapping[str, Any]:
    """Run the installer of the bundle there; gives what it says.

    @raise Unavailable: it has failed.
    """
    units = ["--no-units"] if facts["mode"] == "background" else []
    arguments = [f"{facts['staging']}/{facts['directory']}", facts["python_path"]]
    arguments += [*option_words(facts), *units, *words]
    ran = connection.run(
        scripts.INSTALL, arguments, stdin=stdin, root=facts["root"], timeout=INSTALL_SECONDS
    )
    check_ran(ran, "the installer has failed")
    return last_object(ran)


def in_use(connection: Connection, facts: Facts) -> str:
    """The release in use there; "": none.

    @raise Unavailable: the answer is no release's name.
    """
    ran = connection.run(scripts.INSTALLED, (facts["prefix"],), root=facts["root"])
    found = ran.text.strip() if ran.status == 0 else ""
    if found and _RELEASE.fullmatch(found) is None:
        raise Unavailable(
            f"{connection.host} says {found[:100]!r} where the name of a release is expected",
            hint="what its shell prints at a login may be in the way",
        )
    return found


def activate(connection: Connection, facts: Facts, release: str) -> None:
    """Have another release used that is there; the kernel is to be started again after that.

    @raise NotFound: it is not there.
    """
    arguments = (facts["prefix"], release, *option_words(facts))
    ran = connection.run(scripts.ACTIVATE, arguments, root=facts["root"])
    if ran.status == _NOT_THERE:
        raise NotFound(f"{connection.host} has no release {release} any more")
    check_ran(ran, f"{release} cannot be used")


def remove_others(connection: Connection, facts: Facts, kept: str) -> None:
    """Remove the releases there, besides the one in use and another.

    @raise Unavailable: one cannot be removed.
    """
    arguments = (facts["prefix"], kept, *option_words(facts))
    ran = connection.run(
        scripts.REMOVE_OTHERS, arguments, root=facts["root"], timeout=INSTALL_SECONDS
    )
    check_ran(ran, "an older release cannot be removed")


def start(connection: Connection, facts: Facts) -> None:
    """Start the kernel, again if it runs.

    @raise Unavailable: it does not start.
    """
    ran = connection.run(
        scripts.START, mode_arguments(facts), root=facts["root"], timeout=START_SECONDS
    )
    check_ran(ran, "the kernel does not start", where_to_look(connection, facts))


def mode_arguments(facts: Facts) -> tuple[str, str, str]:
    """What the scripts that start and stop are told."""
    return facts["mode"], facts["prefix"], facts["settings"]


def last_object(ran: Ran) -> Mapping[str, Any]:
    """The JSON object in the last line.

    @raise Unavailable: there is none.
    """
    try:
        found = json.loads(ran.text.strip().splitlines()[-1])
        if not isinstance(found, dict):
            raise ValueError
    except (ValueError, IndexError, RecursionError):
        complaint = ran.complaint or "it says no JSON object"
        raise Unavailable(f"no answer was understood: {complaint}") from None
    return found


def read_number(text: str) -> int:
    """The number that is the last word of an answer; -1: it is none."""
    word = (text.split() or [""])[-1]
    return int(word) if word.isdecimal() and len(word) <= _DIGITS else -1


def check_ran(ran: Ran, failure: str, hint: str = "") -> Ran:
    """@raise Unavailable: its status is not 0."""
    if ran.status:
        complaint = ran.complaint or f"exit code {ran.status}"
        full = "no space left" in complaint.lower()
        raise Unavailable(f"{failure}: {complaint}", hint="make room there" if full else hint)
    return ran


def where_to_look(connection: Connection, facts: Facts) -> str:
    """The command that shows the kernel's log."""
    looks = {
        "system": "journalctl -u clove-kernel -n 50",
        "user": "journalctl --user -u clove-kernel -n 50",
        "background": f"tail -n 50 {shlex.quote(facts['prefix'])}/state/kernel.log",
    }
    prefix = "sudo " if facts.get("root") == "sudo" else ""
    return f"its log: {connection.command} {prefix}{looks[facts['mode']]}"
