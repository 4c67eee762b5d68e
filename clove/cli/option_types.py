"""Types of options: sizes, spans, choices, grants, and what a misspelt one may have been meant for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from clove.cli.text import parse_duration, parse_room, parse_size
from clove.spelling import near

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "Choice",
    "Directory",
    "DirectoryGrant",
    "Parsed",
    "Room",
    "Secret",
    "Size",
    "Span",
    "label",
    "parse_cpus",
    "parse_directory",
    "parse_secret",
    "read_env_file",
    "variable",
]


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """A value that a function reads, which raises ValueError.

    @param name: what it is, as the help shows it.
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """The value."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Choice(click.ParamType):  # type: ignore[type-arg]
    """One of some words; another one is refused with those that are near."""

    name = "choice"

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """As the help shows it."""
        return f"[{'|'.join(self.words)}]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The word, as it is in L{words}; capitals don't count."""
        text = str(value)
        found = {word.lower(): word for word in self.words}.get(text.lower())
        if found is None:
            self.fail(f"{text!r} is none of these: {near(text, self.words)}", param, ctx)
        return found

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What is said where it is required and missing."""
        return f"It is one of {', '.join(self.words)}"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin so."""
        from click.shell_completion import CompletionItem

        begin = incomplete.lower()
        return [CompletionItem(word) for word in self.words if word.lower().startswith(begin)]


class DirectoryGrant(NamedTuple):
    """A directory or file that comes along.

    @ivar path: without links.
    @ivar link: where a link to it is made inside; "" for nowhere.
    """

    path: str
    writable: bool
    link: str = ""

    @property
    def mount(self) -> dict[str, Any]:
        """As SPAWN takes it."""
        found: dict[str, Any] = {"path": self.path, "writable": self.writable}
        return {**found, "as": self.link} if self.link else found


def parse_directory(text: str) -> DirectoryGrant:
    """`PATH[:ro|:rw][:AS]`, writable unless it says otherwise.

    @raise ValueError: it is none, or nothing is there.
    """
    path, mode, link = text, "", ""
    while not os.path.lexists(os.path.expanduser(path)):
        path, colon, last = path.rpartition(":")
        if not colon or not path:
            raise ValueError(f"{text!r} is not there" if text else "the current directory is .")
        if last.startswith("/") and not link and not mode:
            link = last
        elif last in ("ro", "rw") and not mode:
            mode = last
        else:
            raise ValueError(f"{text!r} is not there, and {last!r} is neither ro, rw nor a path")
    real = os.path.realpath(os.path.expanduser(path))
    if not os.path.exists(real):
        raise ValueError(f"{path!r} leads to {real!r}, which is not there")
    return DirectoryGrant(real, mode != "ro", "" if link == real else link)


Directory = Parsed("path[:ro][:as]", parse_directory)
Size = Parsed("size", parse_size)
Room = Parsed("size", parse_room)
Span = Parsed("time", lambda text: parse_duration(text).total_seconds())


def parse_cpus(text: str) -> int:
    """Microseconds of processor time in a period of 100 ms, from a number of processors.

    @raise ValueError: it is none, or less than a hundredth.
    """
    try:
        quota = round(float(text) * 100_000)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a number of processors such as 2 or 0.5") from None
    if not 1000 <= quota <= 10**9:
        raise ValueError(f"{text!r} is not between 0.01 and 10000 processors")
    return quota


def variable(text: str) -> tuple[str, str]:
    """`K=V`, or `K` for what it is here.

    @raise ValueError: it has no name, or there is no such variable here.
    """
    name, equals, value = text.partition("=")
    if not name:
        raise ValueError(f"{text!r} has no name before the =")
    if equals:
        return name, value
    if name not in os.environ:
        raise ValueError(f"{name!r} is not set here; give its value as {name}=VALUE")
    return name, os.environ[name]


def label(text: str) -> tuple[str, str]:
    """`K=V`, or `K` for an empty one.

    @raise ValueError: it has no name.
    """
    name, _, value = text.partition("=")
    if not name:
        raise ValueError(f"{text!r} has no name before the =")
    return name, value


class Secret(NamedTuple):
    """Where one is.

    @ivar source: `@FILE`, `!COMMAND`; "": the user's own of this name.
    """

    name: str
    source: str


def parse_secret(text: str) -> Secret:
    """`NAME`, `NAME=@FILE` or `NAME=!COMMAND`.

    @raise ValueError: it is none. The text is not in it, for it may be a secret.
    """
    name, equals, source = text.partition("=")
    if not name or any(one.isspace() for one in name):
        raise ValueError("a secret has the name of a variable: NAME, NAME=@FILE or NAME=!COMMAND")
    if equals and (source[:1] not in ("@", "!") or len(source) == 1):
        raise ValueError(
            f"{name}: say where it is, as {name}=@FILE or {name}=!COMMAND, not what it is"
        )
    return Secret(name, source)


def read_env_file(path: str) -> dict[str, str]:
    """The variables of a file: lines `K=V`, with or without quotes around V; # begins a comment line.

    @raise ValueError: it cannot be read, or a line is none. The text of the line, perhaps a secret,
        is not in it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"{path}: {reason}") from None
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or any(one.isspace() for one in name):
            raise ValueError(f"{path}, line {number} is not NAME=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
    return found
