"""Options of commands that start a daemon in the background, and what it gets of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

__all__ = ["CONFIG", "STATE_DIR", "daemon_words", "start_options", "timeout_option"]

F = TypeVar("F", bound=Callable[..., Any])

CONFIG = click.option(
    "--config", type=click.Path(exists=True, dir_okay=False), help="Its TOML file."
)
STATE_DIR = click.option(
    "--state-dir", type=click.Path(file_okay=False), help="Its state directory."
)


def timeout_option(seconds: float) -> Callable[[F], F]:
    """--timeout, which is so many seconds unless it is said."""
    return click.option(
        "--timeout", type=click.FloatRange(min=0.1), default=seconds, help="Seconds to wait."
    )


def start_options(where: str) -> Callable[[F], F]:
    """Give a command --config, --state-dir, --systemd and --timeout.

    @param where: when systemd is the default, in words.
    """

    def decorate(function: F) -> F:
        systemd = click.option(
            "--systemd/--no-systemd",
            default=None,
            help=f"As a service of systemd --user (default: {where}).",
        )
        return CONFIG(STATE_DIR(systemd(timeout_option(30.0)(function))))

    return decorate


def daemon_words(given: Mapping[str, str | None]) -> list[str]:
    """A daemon's options: paths are made absolute, as it starts elsewhere.

    @param given: paths by option; None: it is not given.
    """
    return [
        word for option, path in given.items() if path for word in (option, os.path.abspath(path))
    ]
