"""The kernel's environment without its secrets, for programs that it runs on the host.

Pure. What is kept out is decided by names, and by values that carry a password
in a URL; it errs on the side of leaving out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["is_secret", "public_environment"]

_PARTS = (
    "KEY",
    "TOKEN",
    "SECRET",
    "PASS",
    "CREDENTIAL",
    "COOKIE",
    "PRIVATE",
    "BEARER",
    "CONNECTION_STRING",
)
"""A name that has one of these anywhere is secret."""

_WORDS = frozenset({"AUTH", "OAUTH", "AUTHORIZATION", "JWT", "PAT", "PIN", "PWD", "DSN", "WEBHOOK"})
"""So is a name of several words (split at `_`) that has one of these as a word."""

_OWN = frozenset(
    {
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "MAINPID",
        "MANAGERPID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    }
)
"""What the service manager says to the kernel alone (systemd.exec(5), sd_notify(3))."""

_URL_WITH_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s@]*:[^/\s@]*@")


def is_secret(name: str, value: str) -> bool:
    """True if a variable is not for programs that the kernel runs."""
    upper = name.upper()
    if upper in _OWN or any(part in upper for part in _PARTS):
        return True
    words = upper.split("_")
    if len(words) > 1 and not _WORDS.isdisjoint(words):
        return True
    return _URL_WITH_PASSWORD.search(value) is not None


def public_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that programs on the host may inherit from the kernel."""
    return {name: value for name, value in environ.items() if not is_secret(name, value)}
