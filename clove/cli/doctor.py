"""`clove doctor`: what this host can isolate, and what to do about the rest."""

from __future__ import annotations

import json
import subprocess
import sys

import click

from clove.cli.console import Console
from clove.errors import CloveError
from clove.sandbox.probe import Feature, Report, probe

__all__ = ["checkup", "doctor", "running_kernel", "ways_out"]

CHECKUP = "clove.kernel.checkup"
NETWORK_CHECK = "clove.kernel.network_check"
"""Run as programs, so that no part of the kernel is imported here."""
SECONDS = 60
KERNEL_SECONDS = 5.0
"""For a kernel that runs to say what it is."""


def checkup(python: str) -> tuple[Feature, ...]:
    """Start a whole default sandbox, in a process of its own; what was found.

    @param python: the interpreter that runs what is inside.
    """
    return _asked("sandbox", CHECKUP, python)


def ways_out(config: str | None) -> tuple[Feature, ...]:
    """How the kernel, and so agents, would reach other hosts.

    @param config: the kernel's configuration file, if it has one.
    """
    return _asked("way_out", NETWORK_CHECK, *([config] if config else []))


def running_kernel(console: Console) -> tuple[Feature, ...]:
    """The kernel that answers on this host, and in which form it runs; nothing where none does."""
    try:
        with console.local_client(timeout=KERNEL_SECONDS) as client:
            version = client.hello()["kernel_version"]
            compiled = client.get_system_metrics()["metrics"].get("compiled", False)
    except (CloveError, OSError):
        return ()
    form = "with the compiled part" if compiled else "in pure Python (docs/compiled.md)"
    return (Feature("kernel", True, f"{version} runs, {form}"),)


def _asked(name: str, program: str, *arguments: str) -> tuple[Feature, ...]:
    """What a program of the kernel finds.

    @param name: of the feature that says that it failed.
    """
    command = [sys.executable, "-P", "-m", program, *arguments]
    try:
        child = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _failed(name, str(error))
    try:
        return tuple(Feature(**found) for found in json.loads(child.stdout))
    except (ValueError, TypeError):
        last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return _failed(name, last or f"exit code {child.returncode}")


def _failed(name: str, why: str) -> tuple[Feature, ...]:
    return (Feature(name, False, f"the check-up failed: {why}", "please report this"),)


@click.command(
    "doctor",
    context_settings={"help_option_names": ["-h", "--help"]},  # also of the command by itself
    epilog="""\b
Examples:
  clove doctor
  clove doctor --config /etc/clove/kernel.toml
  clove doctor --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--python",
    default=sys.executable,
    show_default="this one",
    help="Interpreter that tries the mechanisms out.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="The kernel's configuration: its proxy is tried as well.",
)
@click.pass_context
def doctor(context: click.Context, as_json: bool, python: str, config: str | None) -> None:
    """Say what this host can isolate, and how to get what it cannot.

    Each mechanism is really tried, as the current user, in a process that is
    thrown away; then a whole sandbox is started as an agent gets it, and asked
    what it is like. Last come which way out there is to other hosts (routes, names,
    NAT64, a proxy), and the kernel that runs here, if one does. Exit code 1: the default sandbox cannot be had.
    """
    running: tuple[Feature, ...] = ()
    console = context.find_object(Console)
    if console is not None:  # none where it is a program by itself
        console.check_local("this command is about this host; clove machines doctor asks a machine")
        running = running_kernel(console)
    report = probe(python)
    report = Report((*report.features, *checkup(python), *ways_out(config), *running))
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        from clove.cli.features import show_features

        missing = [feature.name for feature in report.missing]
        show_features(report.features, report.sandbox, missing, where="here")
    if not report.sandbox:
        context.exit(1)
