"""An unpacked bundle, and whether this machine can use it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["RELEASE", "BundleDirectory", "Problem", "read_bundle"]

RELEASE: Final = re.compile(r"[0-9][0-9A-Za-z.+_-]*")
"""The name of a release."""


class Problem(Exception):
    """Why it cannot be installed, and what to do.

    @ivar hint: what to do next.
    @ivar status: the exit code: 1, or 3 when the bundle is for another machine.
    """

    def __init__(self, message: str, hint: str, status: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status


@dataclass(frozen=True, slots=True)
class BundleDirectory:
    """An unpacked bundle.

    @ivar release: its name, of version and content.
    """

    path: Path
    release: str

    @property
    def wheels(self) -> list[Path]:
        """All of them."""
        return sorted((self.path / "wheels").glob("*.whl"))

    @property
    def systemd(self) -> Path:
        """The directory of the files for systemd."""
        return self.path / "systemd"

    def check_space(self, prefix: Path) -> None:
        """Refuse a disk that is too small, before anything is written.

        @raise Problem: there is not enough space.
        """
        needed = sum(_unpacked_size(wheel) for wheel in self.wheels)
        needed = needed * 3 // 2  # compiled modules as well
        there = next(each for each in [prefix, *prefix.parents] if each.exists())
        free = shutil.disk_usage(there).free
        if free < needed:
            raise Problem(
                f"{prefix} needs {needed >> 20} MB, and {free >> 20} MB are free",
                "make room there, or name another place: --prefix DIRECTORY",
            )


def _unpacked_size(wheel: Path) -> int:
    """@raise Problem: it is damaged."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile as error:
        raise Problem(f"{wheel.name} is damaged: {error}", "copy and unpack it again") from None


def read_bundle(path: Path) -> BundleDirectory:
    """Read what a bundle says of itself, and compare it with this machine.

    @raise Problem: it is not whole, or not for this machine.
    """
    try:
        facts = json.loads((path / "bundle.json").read_text())
        release, python, machine = (facts[key] for key in ("release", "python", "machine"))
        glibc = int(facts["glibc"])
        if RELEASE.fullmatch(release) is None:  # it becomes a directory, which is removed, too
            raise ValueError(f"{str(release)[:100]!r} is no name of a release")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Problem(f"this is no whole bundle: {error}", "copy and unpack it again") from None
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if (here, platform.machine()) != (python, machine):
        raise Problem(
            f"this bundle is for CPython {python} on {machine}; "
            f"here is {here} on {platform.machine()}",
            f"make one with: clove deploy bundle --python {here} --machine {platform.machine()}",
            3,
        )
    found = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else None
    if not found or [int(part) for part in found.split()[1].split(".")] < [2, glibc]:
        raise Problem(
            f"the wheels need glibc 2.{glibc} or newer; here is {found or 'another C library'}",
            "Debian 10, Ubuntu 18.10 and newer have it; Alpine does not",
            3,
        )
    return BundleDirectory(path, release)
