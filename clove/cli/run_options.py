"""The options of `clove run`, and the fields of SPAWN that come of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import click

from clove.cli.detach_keys import DEFAULT
from clove.cli.option_types import (
    Choice,
    Directory,
    DirectoryGrant,
    Parsed,
    Room,
    Span,
    label,
    parse_cpus,
    parse_secret,
    read_env_file,
    variable,
)
from clove.cli.published_ports import PUBLISHED

__all__ = ["LEVELS", "NO_INDEXES", "RunIndexes", "permissions_of", "run_options", "spawn_fields"]

LEVELS: Final = ("unrestricted", "standard", "sandboxed", "readonly", "minimal")
_LIMITS: Final = {
    "memory": "memory",
    "pids": "max_pids",
    "cpus": "cpu_quota",
    "tmp": "tmp",
    "shm": "shm",
    "disk": "disk",
}
"""Options, and SPAWN's limits that they are."""
RESTARTS: Final = ("never", "on-failure", "always")


class RunIndexes(NamedTuple):
    """What a program gets for the package indexes that it may use.

    @ivar remark: what is to be said about them; "" for nothing.
    """

    domains: tuple[str, ...] = ()
    grants: tuple[DirectoryGrant, ...] = ()
    env: Mapping[str, str] = {}
    remark: str = ""


NO_INDEXES: Final = RunIndexes()

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option(
        "--profile",
        metavar="NAME",
        help="Begin with the options of a profile (clove profile list), or of a file NAME.toml.",
    ),
    click.option("--name", help="The agent's name (default: the script's or program's)."),
    click.option(
        "--dir",
        "dirs",
        type=Directory,
        multiple=True,
        help="Give it a directory of the host, at the same path (by a link at AS, too), writable "
        "without :ro. It starts in the first. Repeatable.",
    ),
    click.option(
        "--workspace",
        metavar="NAME",
        help="Work in a directory of this name that stays (clove workspace list).",
    ),
    click.option("--keep", is_flag=True, help="Work in a new directory that stays, and say where."),
    click.option(
        "--python", metavar="PATH", help="The interpreter or virtual environment (default: active)."
    ),
    click.option(
        "--requirements",
        metavar="FILE",
        multiple=True,
        help="In a virtual environment with what it requires, built once. Repeatable.",
    ),
    click.option(
        "-e",
        "--env",
        type=Parsed("name[=value]", variable),
        multiple=True,
        help="Set a variable; with the name alone, to what it is here. Repeatable.",
    ),
    click.option(
        "--env-file",
        "env_files",
        type=Parsed("file", read_env_file),
        multiple=True,
        help="Set the variables of a file of NAME=VALUE lines. Repeatable.",
    ),
    click.option(
        "--secret",
        "secrets",
        type=Parsed("name[=@file|=!command]", parse_secret),
        multiple=True,
        help="Set a variable to a secret of yours, or of a file or command. Repeatable.",
    ),
    click.option(
        "--secret-file",
        "secret_files",
        type=Parsed("name[=@file|=!command]", parse_secret),
        multiple=True,
        help="The same as a file, /run/secrets/NAME, that it alone may read. Repeatable.",
    ),
    click.option("--level", type=Choice(LEVELS), help="What it may do (default: standard)."),
    click.option(
        "--allow-domain",
        "domains",
        metavar="NAME[:PORT]",
        multiple=True,
        help="Let it connect there (*.example.com, too) and nowhere else. Repeatable.",
    ),
    click.option(
        "--index",
        "indexes",
        type=Choice(("pip", "npm")),
        multiple=True,
        help="Let it get packages from where your pip or npm gets them. Repeatable.",
    ),
    click.option(
        "-p",
        "--publish",
        "published",
        type=PUBLISHED,
        multiple=True,
        help="Let programs of this host connect to its PORT, at HOSTPORT of 127.0.0.1 (0: a free "
        "one). Repeatable.",
    ),
    click.option("--network", is_flag=True, help="Let it connect wherever its permissions allow."),
    click.option(
        "--allow-exec",
        "allowed",
        metavar="PROGRAM",
        multiple=True,
        help="Let it start these programs alone. Repeatable.",
    ),
    click.option(
        "--deny",
        "denied",
        metavar="PATH|COMMAND",
        multiple=True,
        help="Keep a path (/, ./ or ~/) or a command ('git push') from it. Repeatable.",
    ),
    click.option("--memory", type=Room, help="At most so much memory (512M)."),
    click.option(
        "--cpus", type=Parsed("number", parse_cpus), help="At most so many processors (0.5)."
    ),
    click.option(
        "--pids", type=click.IntRange(1, 1 << 22), help="At most so many processes and threads."
    ),
    click.option("--tmp", type=Room, help="Room in its /tmp (default: by its memory)."),
    click.option("--shm", type=Room, help="Room in its /dev/shm (default: by its memory)."),
    click.option(
        "--disk", type=Room, help="Room in its /workspace: a quota, else it is ended when over."
    ),
    click.option("--timeout", type=Span, help="End it after this time (30s, 10m, 2h)."),
    click.option(
        "--restart",
        type=Choice(RESTARTS),
        help="When to start it again (default: never).",
    ),
    click.option("--cold", is_flag=True, help="In an interpreter started for it alone."),
    click.option(
        "--unsandboxed",
        is_flag=True,
        help="Without isolation, in this directory, with the kernel's own rights.",
    ),
    click.option("--allow-degraded", is_flag=True, help="Also where isolation is incomplete."),
    click.option(
        "--degrade",
        type=Choice(("limits",)),
        multiple=True,
        help="Also where this host cannot enforce the limits, but isolated all the same.",
    ),
    click.option(
        "--label",
        "labels",
        type=Parsed("name=value", label),
        multiple=True,
        help="A text about it that ps and inspect show. Repeatable.",
    ),
    click.option("--rm", "forget", is_flag=True, help="Forget it when it has ended."),
    click.option(
        "-i", "--interactive", is_flag=True, help="Its input is ours, from a terminal as well."
    ),
    click.option("-t", "--tty", is_flag=True, help="It runs on a terminal, which is ours."),
    click.option(
        "--detach-keys",
        metavar="KEYS",
        default=DEFAULT,
        show_default=True,
        help="With -t, keys that leave it running; '' for none.",
    ),
    click.option("-d", "--detach", is_flag=True, help="Don't wait; print its name and id."),
)


def run_options(function: F) -> F:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def spawn_fields(asked: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """SPAWN's fields from the options.

    @param env: variables that count where the options set no others.
    @raise click.UsageError: the options contradict each other.
    """
    limits = {name: asked[option] for option, name in _LIMITS.items() if asked[option] is not None}
    if "cpu_quota" in limits:
        limits["cpu_period"] = 100_000
    variables = dict(env)
    start = _start(asked, asked["dirs"])
    if start is not None and any(grant.link == start for grant in asked["dirs"]):
        variables["PWD"] = start  # shells show it instead of where the link leads
    for pairs in (*asked["env_files"], dict(asked["env"])):
        variables |= pairs
    for secret in asked["secrets"]:
        variables.pop(secret.name, None)  # the secret counts
    variables |= {f"{one.name}_FILE": f"/run/secrets/{one.name}" for one in asked["secret_files"]}
    return {
        "env": variables or None,
        "sandboxed": not asked["unsandboxed"],
        "network": asked["network"] or bool(asked["domains"]) or None,
        "limits": limits or None,
        "permissions": permissions_of(asked),
        "restart_policy": asked["restart"] or "never",
        "timeout": asked["timeout"],
        "allow_degraded": asked["allow_degraded"],
        "degrade": list(asked["degrade"]) or None,
        "labels": dict(asked["labels"]) or None,
        "warm": False if asked["cold"] else None,
        "cwd": start,
        "publish": list(asked["published"]) or None,
        "secrets": _secrets(asked),
    }


def _secrets(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """@raise CloveError: one cannot be read."""
    if not (asked["secrets"] or asked["secret_files"]):
        return None
    from clove.cli.secret_sources import secret_fields

    return secret_fields(asked["secrets"], asked["secret_files"])


def _start(asked: Mapping[str, Any], dirs: tuple[DirectoryGrant, ...]) -> str | None:
    """Where it starts; None: in the workspace of its sandbox."""
    if asked["unsandboxed"]:
        if dirs:
            raise click.UsageError(
                "--dir is for sandboxes: with --unsandboxed it starts here and sees everything"
            )
        return os.getcwd()
    return next((one.link or one.path for one in dirs if os.path.isdir(one.path)), None)


def permissions_of(asked: Mapping[str, Any]) -> dict[str, Any] | str | None:
    """The permissions that options ask for: a level alone, or with rules; None: the default."""
    rules: dict[str, Any] = {}
    if asked["domains"]:
        rules["allowed_domains"] = list(asked["domains"])
    if asked["allowed"]:
        rules["allowed_commands"] = list(asked["allowed"])
    paths = [_path(one) for one in asked["denied"] if _is_path(one)]
    commands = [one for one in asked["denied"] if not _is_path(one)]
    if paths:
        rules["blocked_paths"] = paths
    if commands:
        rules["blocked_commands"] = commands
    level = asked["level"]
    if not rules:
        return level  # type: ignore[no-any-return]
    return rules if level is None else {"level": level, **rules}


def _is_path(rule: str) -> bool:
    return rule.startswith(("/", "./", "../", "~/", "**/")) or rule in (".", "..", "~")


def _path(rule: str) -> str:
    """A rule about paths; permissions know absolute ones, homes and patterns."""
    if rule.startswith(("/", "~", "**/")):
        return rule
    return os.path.normpath(os.path.join(os.path.realpath(os.getcwd()), rule))
