"""Which Python runs an agent, and what of the host it needs. Blocking."""

from __future__ import annotations

import functools
import os
import shutil
import sys

from clove.errors import InvalidRequest, NotFound

__all__ = ["find_python"]


def find_python(asked: str | None) -> tuple[str, list[str]]:
    """An interpreter's absolute path, and the directories that it needs to run.

    Blocking. The kernel's own does not change while it runs.

    @raise NotFound: there is no such program.
    @raise InvalidRequest: it is not an interpreter in a usual place.
    """
    return _examined(asked) if asked else _own()


@functools.cache
def _own() -> tuple[str, list[str]]:
    return _examined(None)


def _examined(asked: str | None) -> tuple[str, list[str]]:
    program = shutil.which(asked) if asked else sys.executable
    if program is None or not os.path.isabs(program):
        raise NotFound(
            f"no such interpreter: {asked!r}", hint="give an absolute path, or leave python out"
        )
    prefixes = {_prefix(program), _prefix(os.path.realpath(program))}
    if program == sys.executable:
        prefixes |= {sys.prefix, sys.base_prefix}
    else:
        prefixes |= _base_prefixes(program)
    wanted = sorted(os.path.realpath(prefix) for prefix in prefixes)
    return program, [path for path in wanted if not _in_system(path)]


def _prefix(program: str) -> str:
    """The directory above `bin`, which must hold nothing but an installation.

    @raise InvalidRequest: there is no such directory.
    """
    directory = os.path.dirname(program)
    prefix = os.path.dirname(directory)
    library = os.path.join(prefix, "lib")
    venv = os.path.exists(os.path.join(prefix, "pyvenv.cfg"))
    if _in_system(prefix) or venv:
        return prefix
    if os.path.basename(directory) == "bin" and os.path.isdir(library):
        names = os.listdir(library)
        if any(name.startswith("python") for name in names):
            return prefix
    raise InvalidRequest(
        f"{program} does not lie in the bin directory of a Python installation",
        hint="use the interpreter of a virtual environment or of the system",
    )


def _base_prefixes(program: str) -> set[str]:
    """For a virtual environment: where its base installation lies."""
    config = os.path.join(os.path.dirname(os.path.dirname(program)), "pyvenv.cfg")
    try:
        with open(config, encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() == "home":
                    return {_prefix(os.path.join(value.strip(), "python"))}
    except FileNotFoundError:
        pass
    return set()


def _in_system(path: str) -> bool:
    return path == "/" or path == "/usr" or path.startswith("/usr/")
