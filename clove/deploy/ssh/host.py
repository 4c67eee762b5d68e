"""What a machine is, as its probe says, and whether and how Clove can be deployed there. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from clove.errors import AlreadyExists, InvalidRequest, IsolationUnavailable, Unavailable

__all__ = ["NEEDED", "SYSTEM_PREFIX", "judge", "read_probe"]

SYSTEM_PREFIX: Final = "/opt/clove"
NEEDED: Final = 250 << 20
"""Bytes that a release takes with what it is unpacked from."""
MACHINES: Final = ("x86_64", "aarch64")
GLIBC: Final = (2, 28)
_MOST_LINES: Final = 200
_MOST_CHARACTERS: Final = 1024
"""Of a line that is a fact."""
_DIGITS: Final = 18
"""Of a number, at most."""
_PATHS: Final = ("python_path", "data", "config", "staging", "home")


def read_probe(text: str) -> dict[str, str]:
    """The facts of a probe's output, by name; other lines (a login's greeting) are left out."""
    facts = {}
    for line in text.splitlines()[:_MOST_LINES]:
        key, equals, value = line.partition("=")
        if equals and key.replace("_", "a").replace("/", "a").replace(" ", "a").isascii():
            value = "".join(char for char in value[:_MOST_CHARACTERS] if char.isprintable())
            facts[key] = value.strip()
    return facts


def judge(said: Mapping[str, str], host: str, name: str, *, user_units: bool) -> dict[str, Any]:
    """What is kept of a machine: how Clove is installed and served there.

    @param said: of its probe.
    @param name: the deployment's.
    @param user_units: for this user alone, under the user's systemd.
    @raise CloveError: it cannot be, and what would help.
    """
    _check_system(said, host)
    mode = _mode(said, host, user_units)
    prefix = SYSTEM_PREFIX if mode == "system" else said["data"]
    claim = _check_place(said, host, name, prefix, mode)
    _check_relay(said, host)
    settings = "/etc/clove" if mode == "system" else said["config"]
    return {
        "os": said.get("os", ""),
        "python": said["python"],
        "python_path": said["python_path"],
        "machine": said["machine"],
        "mode": mode,
        "root": said.get("root", "") if mode == "system" else "",
        "user": said.get("user", ""),
        "linger": said.get("linger", "") == "yes",
        "prefix": prefix,
        "settings": settings,
        "staging": f"{said['staging']}/{name}",
        "home": said["home"],
        "claimed": claim == name,
    }


def _check_place(said: Mapping[str, str], host: str, name: str, prefix: str, mode: str) -> str:
    """The deployment that has claimed the prefix; "": none."""
    claim, current = said.get(f"claim {prefix}", ""), said.get(f"current {prefix}", "")
    if claim and claim != name:
        raise AlreadyExists(
            f"{host} has the deployment {claim} already, in {prefix}",
            hint=f"say --name {shlex.quote(claim)}, or undo that one first (clove deploy list)",
        )
    if current and not claim:
        raise AlreadyExists(
            f"{host} has a Clove in {prefix} that no deployment made",
            hint="have its kernel join instead: clove tunnel join; or uninstall it there",
        )
    if not claim and (state := said.get(f"state_{mode}")):
        raise AlreadyExists(
            f"{host} has the state of another Clove in {state}",
            hint="remove it there, if nothing of it is needed any more",
        )
    if not current and (free := _free(said, prefix)) < NEEDED:
        raise Unavailable(
            f"{host} has {free >> 20} MB free for {prefix}, and {NEEDED >> 20} MB are needed",
            hint="make room there",
        )
    return claim


def _check_system(said: Mapping[str, str], host: str) -> None:
    if said.get("system") != "Linux":
        raise InvalidRequest(
            f"{host} is no Linux ({said.get('system') or 'it says nothing'})",
            hint="Clove isolates agents by Linux's namespaces",
        )
    if not said.get("python"):
        other = said.get("other_python")
        raise Unavailable(
            f"{host} ({said.get('os') or 'Linux'}) has {f'Python {other}' if other else 'no Python'}",
            hint="Clove needs Python 3.11 or newer: on Debian 12 and Ubuntu 24.04 apt install python3",
        )
    if said.get("machine") not in MACHINES:
        raise InvalidRequest(
            f"{host} is of the kind {said.get('machine')}",
            hint=f"there are wheels for {' and '.join(MACHINES)}",
        )
    for key in _PATHS:
        if not said.get(key, "").startswith("/"):
            raise Unavailable(
                f"{host} says {said.get(key, 'nothing')!r} where a path is expected ({key})",
                hint="what its shell prints at a login may be in the way",
            )
    libc, _, version = said.get("libc", "").partition(" ")
    if libc != "glibc" or _numbers(version) < GLIBC:
        raise InvalidRequest(
            f"{host} has {said.get('libc') or 'no glibc'}",
            hint="the wheels need glibc 2.28 or newer (Debian 10, Ubuntu 18.10)",
        )


def _mode(said: Mapping[str, str], host: str, user_units: bool) -> str:
    """C{system}, C{user} (of systemd) or C{background} (a process)."""
    if user_units:
        if said.get("user_systemd") != "yes":
            raise IsolationUnavailable(
                f"{said.get('user')} has no systemd --user on {host}",
                hint="install libpam-systemd and dbus-user-session there, or leave out --user-units",
            )
        return "user"
    if said.get("systemd") != "yes":
        return "background"
    if not said.get("root"):
        raise InvalidRequest(
            f"{said.get('user')} is not root on {host}, and sudo asks for a password",
            hint="say --user-units for a kernel of that user alone, or log in as root",
        )
    return "system"


def _check_relay(said: Mapping[str, str], host: str) -> None:
    relay = said.get("relay", "")
    if relay != "ok" and said.get("proxy") != "yes":
        raise Unavailable(
            f"{host} does not reach the relay: {relay or 'it says nothing'}",
            hint="--hub says what it is to dial: an address that leads from there to the relay",
        )


def _free(said: Mapping[str, str], prefix: str) -> int:
    """Bytes, of a line of df -P."""
    words = said.get(f"free {prefix}", "").split()
    found = [word for word in words[1:4] if word.isdecimal()]
    return int(found[2]) * 1024 if len(found) == 3 and len(found[2]) <= _DIGITS else 0


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(
        int(part[:_DIGITS]) for part in version.split(".")[:2] if part[:_DIGITS].isdecimal()
    )
