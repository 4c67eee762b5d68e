"""`clove machines doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE
from clove.cli.fleet.near_machine import near_machine
from clove.cli.fleet.relay_options import relay_options
from clove.errors import NotFound

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient
    from clove.sandbox.probe import Feature

__all__ = ["doctor_machine"]


@click.command("doctor", epilog="\b\nExamples:\n  clove machines doctor build-7")
@click.argument("machine", type=MACHINE)
@relay_options
@click.pass_context
def doctor_machine(
    ctx: click.Context, /, console: Console, fleet: FleetClient, machine: str
) -> None:
    """Say what a machine can isolate, as its kernel found when its tunnel came up.

    `clove doctor` there finds it out anew. Exit code 1: the default sandbox cannot be had.
    """
    with near_machine(fleet, machine):
        report = fleet.machine(machine)["isolation"]
    features = _features(report)
    if not features:
        raise NotFound(
            f"{machine} has not said yet what it can isolate", hint="clove doctor says it there"
        )
    works = report.get("sandbox") is True
    if console.as_json:
        console.data(report)
    else:
        from clove.cli.features import show_features

        missing = [each.name for each in features if not each.available and each.remedy]
        show_features(features, works, missing, where=f"on {machine}")
    ctx.exit(0 if works else 1)


def _features(report: dict[str, Any]) -> list[Feature]:
    """What a machine has reported; it may say anything."""
    from clove.sandbox.probe import Feature

    found = report.get("features")
    return [
        Feature(
            str(each.get("name", "")),
            each.get("available") is True,
            str(each.get("detail", "")),
            str(each.get("remedy", "")),
        )
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict)
    ]
