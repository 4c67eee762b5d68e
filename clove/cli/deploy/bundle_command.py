"""`clove deploy bundle`."""

from __future__ import annotations

from pathlib import Path

import click

from clove.cli.console import Console
from clove.errors import Unavailable

__all__ = ["command"]


@click.command(
    "bundle",
    epilog="""\b
Examples:
  clove deploy bundle                                     for this Python, into this directory
  clove deploy bundle --python 3.13 --machine aarch64 /tmp/bundles     which is made
  scp clove-*.tar.gz ann@build-7: && ssh ann@build-7      and there:
  tar -xf clove-*.tar.gz && clove-*/install --help

pip fetches the wheels, from where it is configured to look, by the hashes that Clove locks.""",
)
@click.argument(
    "directory", default=".", type=click.Path(file_okay=False, writable=True, path_type=Path)
)
@click.option("--python", metavar="3.N", help="Of the other machine; else that of this Clove.")
@click.option(
    "--machine", metavar="CPU", help="Its processor (x86_64 or aarch64); else this one's."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def command(
    console: Console, directory: Path, python: str | None, machine: str | None, as_json: bool
) -> None:
    """Make an archive that installs Clove where there is no package index."""
    from clove.deploy.bundle import Target, make_bundle

    console.as_json = console.as_json or as_json
    if python and machine:
        target = Target(python, machine)
    else:
        here = Target.here()
        target = Target(python or here.python, machine or here.machine)
    _make(directory)
    console.remark(f"fetching the wheels for {target.name} ...")
    made = make_bundle(directory, target)
    if console.as_json:
        facts = {"path": str(made.path), "release": made.release, "sha256": made.sha256}
        console.data({**facts, "python": target.python, "machine": target.machine})
        return
    click.echo(made.path)
    console.remark(f"release {made.release}, sha256 {made.sha256}")


def _make(directory: Path) -> None:
    """@raise Unavailable: it is not there and cannot be made."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"cannot make the directory {directory}: {error.strerror}", hint="name another one"
        ) from None
