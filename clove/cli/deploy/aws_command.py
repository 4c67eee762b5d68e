"""`clove deploy aws`."""

from __future__ import annotations

import os

import click

from clove.cli.deploy.cloud_options import cloud_options
from clove.cli.deploy.options import Asked, TargetCommand, deployment_options

__all__ = ["command"]

EPILOG = """\b
Examples:
  clove deploy aws --dry-run                what would be made, and its price
  clove deploy aws                          one machine, called aws
  clove deploy aws --name lab --count 3 --region eu-central-1 --spot
  clove agent run script.py --machine lab-1
  clove deploy aws --name lab --destroy     remove all of it

terraform 1.5 or newer does it, with the access to AWS that you have (AWS_PROFILE and
the like). Machines open nothing inward. docs/cloud.md has the whole."""


@click.command("aws", cls=TargetCommand, epilog=EPILOG)
@cloud_options("aws", "t3.medium")
@click.option(
    "--region",
    default=lambda: (
        os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    ),
    show_default="$AWS_REGION, else us-east-1",
    metavar="REGION",
    help="Where.",
)
@deployment_options
def command(asked: Asked, name: str, **options: object) -> None:
    """Make machines on Amazon EC2, by terraform."""
    asked.deploy("aws", name, options)
