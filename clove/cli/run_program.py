"""What `clove run` starts: a command, and what of the caller's files it needs beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from clove.cli.option_types import DirectoryGrant
from clove.cli.run_words import MODULE, PROGRAM, RunWords
from clove.errors import InvalidRequest, NotFound
from clove.spelling import near

__all__ = ["Caller", "Program", "find_program", "interpreter_of"]

PATH_INSIDE: Final = "/usr/local/bin:/usr/bin:/bin"
MAIN: Final = "__main__.py"
TOP: Final = (
    "bin",
    "etc",
    "home",
    "lib",
    "media",
    "mnt",
    "opt",
    "root",
    "srv",
    "tmp",
    "usr",
    "var",
)
"""Directories of a host that belong to no project, nor do those that hold home directories."""
_MOST_NAMES: Final = 4096
_VAR_TMP: Final = "/var/tmp"  # noqa: S108


class Caller(NamedTuple):
    """Where and how the command was called.

    @ivar python: the interpreter that was named; None: the active environment's, else ours.
    @ivar grants: directories that were granted by name.
    """

    cwd: str
    environ: Mapping[str, str]
    sandboxed: bool = True
    python: str | None = None
    grants: Sequence[DirectoryGrant] = ()

    @property
    def home(self) -> str:
        """The user's."""
        return os.path.realpath(self.environ.get("HOME") or os.path.expanduser("~"))


class Program(NamedTuple):
    """What is started.

    @ivar stem: what its name comes from.
    @ivar neighbours: a directory that comes along, read-only; "" if none does.
    @ivar left_out: why a script's directory does not.
    @ivar script: a script that can be started alone, if its directory cannot come along.
    @ivar python: an interpreter that comes along; None: nothing but the kernel's own.
    """

    stem: str
    command: tuple[str, ...]
    env: Mapping[str, str] = {}
    neighbours: str = ""
    left_out: str = ""
    script: str = ""
    args: tuple[str, ...] = ()
    python: str | None = None


def find_program(words: RunWords, caller: Caller) -> Program:
    """What a command line starts.

    @raise CloveError: there is no such script, module directory or interpreter.
    """
    python, env = _interpreter(caller)
    if words.form == PROGRAM:
        stem = os.path.basename(words.target)
        command = (words.target, *words.args)
        return Program(stem=stem, command=command, env=env, python=python if env else None)
    shown = python if caller.sandboxed else None
    if words.form == MODULE:
        found = _module(words, caller, python, env)
    elif os.path.isdir(os.path.join(caller.cwd, words.target)):
        found = _directory(words, caller, python, env)
    else:
        found = _script(words, caller, python, env)
    return found._replace(python=shown)


# the interpreter


def interpreter_of(caller: Caller) -> str:
    """The path of the interpreter that is chosen.

    @raise CloveError: there is no such one.
    """
    return _interpreter(caller)[0]


def _interpreter(caller: Caller) -> tuple[str, dict[str, str]]:
    """The interpreter's path, and what an environment that was chosen adds to the variables."""
    if caller.python is not None:
        path = _named(caller.python, caller)
    elif prefix := caller.environ.get("VIRTUAL_ENV"):
        path = _of_prefix(prefix, "VIRTUAL_ENV names")
    else:
        return sys.executable, {}
    where = os.path.dirname(path)
    before = PATH_INSIDE if caller.sandboxed else caller.environ.get("PATH", PATH_INSIDE)
    env = {"PATH": f"{where}:{before}"}
    if os.path.isfile(os.path.join(os.path.dirname(where), "pyvenv.cfg")):
        env["VIRTUAL_ENV"] = os.path.dirname(where)
    return path, env


def _named(name: str, caller: Caller) -> str:
    """The interpreter of a path, of an environment's directory, or of a name on the caller's PATH."""
    whole = os.path.join(caller.cwd, os.path.expanduser(name))
    if os.path.isdir(whole):
        return _of_prefix(whole, "--python names")
    import shutil  # which brings many modules with it

    found = whole if "/" in name else shutil.which(name, path=caller.environ.get("PATH"))
    if found is None or not os.path.isfile(found):
        raise NotFound(
            f"no such interpreter: {name!r}",
            hint="--python takes a path, the directory of a virtual environment, or a name in PATH",
        )
    return os.path.normpath(found)


def _of_prefix(prefix: str, what: str) -> str:
    where = os.path.join(os.path.realpath(prefix), "bin")
    if where == os.path.dirname(sys.executable):
        return sys.executable
    path = os.path.join(where, "python")
    if not os.path.isfile(path):
        raise NotFound(
            f"{what} {prefix}, which has no bin/python",
            hint="make it anew, deactivate it, or name another one with --python",
        )
    return path


# what it runs


def _script(words: RunWords, caller: Caller, python: str, env: Mapping[str, str]) -> Program:
    whole = os.path.join(caller.cwd, os.path.expanduser(words.target))
    path = os.path.realpath(whole)
    if not os.path.isfile(path):
        raise _no_script(words.target, whole)
    _check_is_python(words.target, path)
    neighbours, left_out = _along(os.path.dirname(path), caller, path)
    return Program(
        stem=os.path.splitext(os.path.basename(path))[0],
        command=(python, path, *words.args),
        env=env,
        neighbours=neighbours,
        left_out=left_out,
        script=path,
        args=words.args,
    )


def _no_script(target: str, path: str) -> NotFound:
    """The error for a script that is not there, with the names that are near."""
    directory, name = os.path.split(path)
    try:
        with os.scandir(directory) as listing:
            names = [each.name for _, each in zip(range(_MOST_NAMES), listing, strict=False)]
    except OSError:
        names = []
    alike = tuple(each for each in names if each.endswith(".py"))
    hint = near(name, alike) if alike else ""
    if not hint.startswith("did you mean"):
        hint = "clove run SCRIPT|DIRECTORY, -m MODULE, or -- PROGRAM for what is no Python"
    return NotFound(f"no such script: {target!r}", hint=hint)


def _check_is_python(target: str, path: str) -> None:
    """@raise InvalidRequest: it says itself that something else runs it."""
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except OSError as error:
        raise InvalidRequest(f"{target!r} cannot be read: {error.strerror}") from None
    if line.startswith(b"\x7fELF") or (
        line.startswith(b"#!") and b"python" not in line and b"pypy" not in line
    ):
        raise InvalidRequest(
            f"{target!r} is no Python script",
            hint=f"to run it as a program: clove run --dir . -- {target}",
        )


def _directory(words: RunWords, caller: Caller, python: str, env: Mapping[str, str]) -> Program:
    """As `python DIRECTORY` does; a package as `python -m` does from beside it."""
    path = os.path.realpath(os.path.join(caller.cwd, words.target))
    if not os.path.isfile(os.path.join(path, MAIN)):
        raise NotFound(
            f"{words.target!r} is a directory without {MAIN}",
            hint=f"name the script in it, or to work in it: clove run --dir {words.target} SCRIPT",
        )
    neighbours, left_out = _along(path, caller, path)
    if left_out:
        raise InvalidRequest(f"{words.target!r} cannot come along: {left_out}")
    name = os.path.basename(path)
    if os.path.isfile(os.path.join(path, "__init__.py")):
        command = (python, "-m", name, *words.args)
        env = {**env, "PYTHONPATH": os.path.dirname(path)}
    else:
        command = (python, path, *words.args)
    return Program(stem=name, command=command, env=env, neighbours=neighbours)


def _module(words: RunWords, caller: Caller, python: str, env: Mapping[str, str]) -> Program:
    """As `python -m MODULE` does: from the current directory, if it is there, else installed."""
    top = words.target.partition(".")[0]
    cwd = os.path.realpath(caller.cwd)
    local = os.path.join(cwd, top)
    neighbours = ""
    if os.path.isdir(local) or os.path.isfile(f"{local}.py"):
        neighbours, left_out = _along(cwd, caller, local)
        if left_out:
            raise InvalidRequest(f"module {top!r} of {cwd} cannot come along: {left_out}")
        env = {**env, "PYTHONPATH": cwd}
    return Program(
        stem=words.target.rpartition(".")[2] or top,
        command=(python, "-m", words.target, *words.args),
        env=env,
        neighbours=neighbours,
    )


# what comes along


def _along(directory: str, caller: Caller, what: str) -> tuple[str, str]:
    """A directory if it is to come along, and why it is not, if something stands against it."""
    if not caller.sandboxed or any(_within(what, grant.path) for grant in caller.grants):
        return "", ""
    if _within(directory, _VAR_TMP):
        return "", f"{directory} lies in {_VAR_TMP}, which each sandbox has for itself"
    if directory == "/" or directory.lstrip("/") in TOP or _within(caller.home, directory):
        return "", (
            f"{directory} holds more than a project; keep it in a directory of its own, or grant "
            "what it needs with --dir"
        )
    return directory, ""


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")
