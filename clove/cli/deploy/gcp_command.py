"""`clove deploy gcp`."""

from __future__ import annotations

import os

import click

from clove.cli.deploy.cloud_options import cloud_options
from clove.cli.deploy.options import Asked, TargetCommand, deployment_options

__all__ = ["command"]

EPILOG = """\b
Examples:
  clove deploy gcp --project p --dry-run    what would be made, and its price
  clove deploy gcp --project p              one machine, called gcp
  clove deploy gcp --project p --name lab --count 3 --region europe-west3 --spot
  clove agent run script.py --machine lab-1
  clove deploy gcp --project p --name lab --destroy     remove all of it

terraform 1.5 or newer does it, with the access to Google Cloud that you have (gcloud
auth application-default login). Machines open nothing inward. docs/cloud.md has the
whole, and what of it could not be tried."""


@click.command("gcp", cls=TargetCommand, epilog=EPILOG)
@cloud_options("gcp", "e2-medium")
@click.option(
    "--project",
    default=lambda: os.environ.get("GOOGLE_CLOUD_PROJECT") or "",
    show_default="$GOOGLE_CLOUD_PROJECT",
    metavar="ID",
    help="The project that pays.",
)
@click.option(
    "--region",
    default=lambda: os.environ.get("GOOGLE_CLOUD_REGION") or "us-central1",
    show_default="$GOOGLE_CLOUD_REGION, else us-central1",
    metavar="REGION",
    help="Where.",
)
@deployment_options
def command(asked: Asked, name: str, **options: object) -> None:
    """Make machines on Google Compute Engine, by terraform."""
    asked.deploy("gcp", name, options)
