"""Which Python runs an agent, and what a sandbox must have for it.

Of an installation or a virtual environment a sandbox gets the directories that are
Python's, never the directory that they are in: `~/.local` is an installation's prefix
as well, and holds much else.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Final

import msgspec

from clove.sandbox.layout import TOP
from clove.sandbox.spec import Bind

__all__ = [
    "CONFIG",
    "CONFIG_BYTES",
    "OF_ENVIRONMENT",
    "OF_INSTALLATION",
    "Interpreter",
    "Part",
    "home_of",
    "in_system",
    "own_interpreter",
    "own_parts",
]

CONFIG: Final = "pyvenv.cfg"
CONFIG_BYTES: Final = 64 << 10
"""Bytes that a pyvenv.cfg may have."""
OF_INSTALLATION: Final = ("bin", "lib", "lib64", "libexec", "include", "ssl")
OF_ENVIRONMENT: Final = (CONFIG, "bin", "lib", "lib64", "include")
"""What is mounted of a prefix, as far as it is there and no link."""
_SYSTEM: Final = ("/usr", *TOP)


class Part(msgspec.Struct, frozen=True):
    """A directory or file of an interpreter that was named.

    @ivar source: its path on the host, without links.
    @ivar target: its path for the one that named it, and in the new sandbox.
    @ivar identity: device and inode number, as they were when it was found.
    """

    source: str
    target: str
    directory: bool
    identity: tuple[int, int]


class Interpreter(msgspec.Struct, frozen=True):
    """A Python for one agent.

    @ivar program: its path, in the new sandbox or on the host.
    @ivar real: the same without links.
    @ivar with_own: it needs what the kernel's own interpreter consists of.
    @ivar parts: what it needs else; looked at anew for each start.
    """

    program: str
    real: str
    with_own: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def binds(self) -> tuple[Bind, ...]:
        """What of the kernel's own interpreter it needs. Blocking, the first time."""
        return own_parts() if self.with_own else ()


def in_system(path: str) -> bool:
    """Does it lie in what every sandbox has of the host's system?"""
    return any(path == place or path.startswith(f"{place}/") for place in _SYSTEM)


@functools.cache
def own_interpreter() -> Interpreter:
    """The kernel's own, which does not change while it runs. Blocking.

    It is named by the directory that a sandbox gets, which may not be the path that the kernel was
    started by: a virtual environment's is often reached by a link (`current`).
    """
    where, name = os.path.split(sys.executable)
    program = os.path.join(os.path.realpath(where), name)
    return Interpreter(program, os.path.realpath(program), with_own=True)


@functools.cache
def own_parts() -> tuple[Bind, ...]:
    """What the kernel's own consists of, besides what lies in the system's directories. Blocking."""
    real = os.path.realpath(sys.executable)
    prefixes = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(real))}
    directories = sorted(os.path.realpath(one) for one in prefixes)
    found = [path for place in directories if not in_system(place) for path in _parts(place)]
    return tuple(Bind(path, path) for path in found)


def _parts(prefix: str) -> list[str]:
    venv = os.path.isfile(f"{prefix}/{CONFIG}")
    paths = [f"{prefix}/{name}" for name in (OF_ENVIRONMENT if venv else OF_INSTALLATION)]
    return [path for path in paths if os.path.exists(path) and not os.path.islink(path)]


def home_of(config: bytes) -> str | None:
    """Where a virtual environment's base installation has its programs (venv's `home`). Pure."""
    for line in config.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "home":
            return value.strip()
    return None
