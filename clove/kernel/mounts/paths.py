"""Places of the host and of each sandbox, and how paths lie to each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["NEVER", "OWN", "OWN_ALONE", "beneath", "depth", "directories_above", "is_own"]

OWN: Final = ("/workspace", "/app", "/opt/clove", "/usr", "/proc", "/dev")
"""What each sandbox has of its own or of the system's, with all beneath: not the host's to show."""
OWN_ALONE: Final = ("/", "/tmp", "/etc")  # noqa: S108
"""The same, but what is beneath them on the host can be shown."""
NEVER: Final = ("/sys", "/run")
"""The machine and its services: shown to no sandbox."""


def is_own(path: str) -> bool:
    """Has each sandbox something of its own or of the system's there?"""
    return path in OWN_ALONE or beneath(path, OWN)


def beneath(path: str, directories: Iterable[str]) -> bool:
    """Is the path one of the places, or in one?"""
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in directories)


def depth(path: str) -> int:
    """Names in a path."""
    return len([part for part in path.split("/") if part])


def directories_above(path: str) -> list[str]:
    """The directories that a path is in, the root directory left out."""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts))]
