"""Profiles: files of options for `clove run`, the user's own and those that are shipped."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from clove.errors import InvalidRequest, NotFound
from clove.spelling import near, shown

if TYPE_CHECKING:
    from clove.cli.option_types import DirectoryGrant

__all__ = ["Profile", "known_profiles", "load_profile", "merged", "profile_directory"]

SHIPPED: Final = Path(__file__).with_name("profiles")
NEVER: Final = (
    "name",
    "detach",
    "rm",
    "keep",
    "json",
    "socket",
    "context",
    "profile",
    "unsandboxed",
    "help",
)
"""Options that say how one run goes, or that no file shall say for one."""
DESCRIPTION: Final = "description"
_MOST: Final = 1 << 16


class Profile(NamedTuple):
    """One, read and checked.

    @ivar options: the values of options, by the names of the command's parameters.
    @ivar text: as it is in the file.
    """

    name: str
    path: Path
    description: str
    options: Mapping[str, Any]
    text: str


def profile_directory() -> Path:
    """Where the user's own are."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(base if base.startswith("/") else "~/.config").expanduser() / "clove/profiles"


def known_profiles() -> dict[str, Path]:
    """All by their names; the user's hide those that are shipped."""
    found: dict[str, Path] = {}
    for directory in (SHIPPED, profile_directory()):
        try:
            names = sorted(directory.glob("*.toml"))
        except OSError:
            continue
        found |= {path.stem: path for path in names}
    return dict(sorted(found.items()))


def load_profile(name: str, command: click.Command) -> Profile:
    """Read one.

    @param name: of a known one; or the path of a file, if it has a slash or ends in `.toml`.
    @param command: whose options they are.
    @raise NotFound: there is none.
    @raise InvalidRequest: it is wrong, or a rule in it can take no effect.
    """
    known = known_profiles()
    path = Path(name) if "/" in name or name.endswith(".toml") else known.get(name)
    if path is None:
        raise NotFound(f"no such profile: {name!r}", hint=near(name, tuple(known)))
    try:
        with path.open("rb") as file:
            text = file.read(_MOST).decode()
        table = tomllib.loads(text)
    except OSError as error:
        raise NotFound(f"profile {path}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidRequest(f"profile {path}: {error}") from None
    description = table.pop(DESCRIPTION, "")
    options = _read(table, command, path)
    _check_effects(options, path)
    return Profile(path.stem, path, str(description), options, text)


def _read(table: Mapping[str, Any], command: click.Command, path: Path) -> dict[str, Any]:
    """The values of options.

    @raise InvalidRequest: there is no such option, or a value is none of its.
    """
    known = {
        opt.removeprefix("--"): param
        for param in command.params
        if isinstance(param, click.Option)
        for opt in param.opts
        if opt.startswith("--")
    }
    allowed = tuple(name for name in known if name not in NEVER)
    options = {}
    for name, value in table.items():
        if name not in allowed:
            raise InvalidRequest(
                f"profile {path}: there is no option `{shown(name)}` here",
                hint=near(name, (*allowed, DESCRIPTION)),
            )
        param = known[name]
        try:
            options[str(param.name)] = _value(param, value)
        except click.BadParameter as error:
            raise InvalidRequest(f"profile {path}: {name}: {error.message}") from None
    return options


def _value(param: click.Option, value: Any) -> Any:
    """What an option makes of a value of TOML.

    @raise click.BadParameter: it is none of its.
    """
    if param.is_flag:
        if not isinstance(value, bool):
            raise click.BadParameter("it is true or false")
        return value
    if isinstance(value, dict):
        value = [f"{key}={each}" for key, each in value.items()]
    if isinstance(value, list):
        if not param.multiple:
            raise click.BadParameter("it takes one value, not a list")
        return tuple(_one(param, each) for each in value)
    return (_one(param, value),) if param.multiple else _one(param, value)


def _one(param: click.Option, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise click.BadParameter(f"{value!r} is neither a text nor a number")
    return param.type.convert(str(value), param, None)


def _check_effects(options: Mapping[str, Any], path: Path) -> None:
    """@raise InvalidRequest: something in it can take no effect."""
    level = options.get("level") or "standard"
    dirs: tuple[DirectoryGrant, ...] = options.get("dirs", ())
    denied, allowed = options.get("denied", ()), options.get("allowed", ())
    problems = [
        *_at_level(level, dirs, allowed),
        *(
            f"deny of {one!r} leaves nothing of dir {grant.path!r}"
            for one in denied
            for grant in dirs
            if _covers(one, grant.path)
        ),
        *(f"{one!r} is both in allow-exec and in deny" for one in allowed if one in denied),
        *_twice("dir", [grant.path for grant in dirs]),
        *_twice("deny", denied),
        *_twice("allow-exec", allowed),
        *_twice("allow-domain", options.get("domains", ())),
    ]
    if options.get("network") and options.get("domains"):
        problems.append("network = true adds nothing to allow-domain, which is all it may reach")
    if options.get("allow_degraded") and options.get("degrade"):
        problems.append("degrade adds nothing to allow-degraded = true")
    if problems:
        raise InvalidRequest(
            f"profile {path}: {'; '.join(problems)}", hint="take out what can take no effect"
        )


def _at_level(level: str, dirs: tuple[DirectoryGrant, ...], allowed: Iterable[str]) -> list[str]:
    """What a level does not let a profile use."""
    problems = []
    if level in ("readonly", "minimal") and tuple(allowed):
        problems.append(f"allow-exec has no effect at level {level}, which starts no programs")
    if level == "minimal" and dirs:
        problems.append("dir has no effect at level minimal, which reads nothing")
    if level == "readonly":
        writable = [grant.path for grant in dirs if grant.writable]
        problems += [f"dir {one!r} needs :ro at level readonly" for one in writable]
    return problems


def _covers(rule: str, path: str) -> bool:
    """A rule without wildcards takes a whole directory away."""
    if not rule.startswith(("/", "./", "../", "~/")) and rule not in (".", "..", "~"):
        return False
    real = os.path.realpath(os.path.expanduser(rule))
    return path == real or path.startswith(f"{real.rstrip('/')}/")


def _twice(name: str, values: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    twice = [one for one in values if one in seen or seen.add(one)]  # type: ignore[func-returns-value]
    return [f"{name} has {one!r} twice" for one in dict.fromkeys(twice)]


def merged(profile: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a command line with those of a profile.

    Of one value that of the command line counts. Lists are joined, those of the command line first;
    variables last, where they win. A directory that both have is as the command line has it.
    """
    found = dict(asked)
    for name, value in profile.items():
        mine = found.get(name)
        if name in ("env", "env_files"):
            found[name] = (*value, *(mine or ()))
        elif name == "dirs":
            named = {grant.path for grant in mine or ()}
            found[name] = (*(mine or ()), *(one for one in value if one.path not in named))
        elif isinstance(value, tuple):
            found[name] = tuple(dict.fromkeys((*(mine or ()), *value)))
        elif mine is None or mine is False:
            found[name] = value
    return found
