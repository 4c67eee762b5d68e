"""The options that `clove deploy aws` and `clove deploy gcp` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["cloud_options"]

F = TypeVar("F", bound=Callable[..., Any])


def cloud_options(name: str, kind: str) -> Callable[[F], F]:
    """Give a command these options.

    @param name: of a deployment, unless another is said.
    @param kind: the instance type, unless another is said.
    """
    options = (
        click.option("--name", default=name, show_default=True, help="Of the deployment."),
        click.option(
            "--count",
            type=click.IntRange(1, 100),
            default=1,
            show_default=True,
            help="Machines: NAME, or NAME-1, NAME-2 ...",
        ),
        click.option("--type", default=kind, show_default=True, help="Instance type."),
        click.option("--zone", default="", metavar="ZONE", help="Within the region."),
        click.option(
            "--disk",
            type=click.IntRange(10, 16384),
            default=20,
            show_default=True,
            metavar="GIB",
            help="Size of each disk.",
        ),
        click.option("--spot", is_flag=True, help="Cheaper, and may be ended at any time."),
        click.option(
            "--terraform", default="terraform", metavar="PROGRAM", help="Another, or tofu."
        ),
    )

    def decorated(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorated
