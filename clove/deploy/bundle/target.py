"""Which Python on which processor a bundle is for. Pure."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Final

from packaging.markers import Marker

from clove.errors import InvalidRequest

__all__ = ["GLIBC", "MACHINES", "PYTHONS", "Target"]

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
"""Versions of CPython that the locks are for."""
MACHINES: Final = ("x86_64", "aarch64")
"""Processors that the locks are for, as C{uname -m} names them."""
GLIBC: Final = 28
"""The locked wheels need glibc 2.28 (Debian 10) or newer."""
OLDEST_GLIBC: Final = {"x86_64": 5, "aarch64": 17}
"""The glibc 2.N of the oldest manylinux that there is for a processor (PEP 600)."""
ALIASES: Final = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


@dataclass(frozen=True, slots=True)
class Target:
    """A Python on a processor, with Linux and glibc 2.28 or newer.

    @ivar python: its version, like C{3.11}.
    @ivar machine: the processor, like C{x86_64}.
    """

    python: str = "3.11"
    machine: str = "x86_64"

    def __post_init__(self) -> None:
        """Refuse what there are no locked wheels for.

        @raise InvalidRequest: one of the two is unknown; says which there are.
        """
        if self.python not in PYTHONS:
            raise InvalidRequest(
                f"no bundle can be made for Python {self.python!r}",
                hint=f"the locks are for CPython {', '.join(PYTHONS)}",
            )
        if self.machine not in MACHINES:
            raise InvalidRequest(
                f"no bundle can be made for the processor {self.machine!r}",
                hint=f"the locks are for {' and '.join(MACHINES)} (as `uname -m` says)",
            )

    @classmethod
    def here(cls) -> Target:
        """This Python on this machine.

        @raise InvalidRequest: there are no locked wheels for it.
        """
        return cls(".".join(platform.python_version_tuple()[:2]), platform.machine())

    @property
    def name(self) -> str:
        """What names it in file names, like C{py311-linux-x86_64}."""
        return f"py{self.python.replace('.', '')}-linux-{self.machine}"

    def pip_options(self) -> list[str]:
        """What makes pip choose wheels for it, wherever pip itself runs."""
        abi = f"cp{self.python.replace('.', '')}"
        options = ["--python-version", self.python, "--implementation", "cp"]
        for each in (abi, "abi3", "none"):
            options += ["--abi", each]
        for minor in range(GLIBC, OLDEST_GLIBC[self.machine] - 1, -1):
            options += ["--platform", f"manylinux_2_{minor}_{self.machine}"]
            if minor in ALIASES:
                options += ["--platform", f"{ALIASES[minor]}_{self.machine}"]
        return [*options, "--platform", f"linux_{self.machine}"]

    def needs(self, marker: str) -> bool:
        """Whether what has this marker (PEP 508) is needed there; "" always is."""
        if not marker:
            return True
        environment = {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }
        return Marker(marker).evaluate(environment)
