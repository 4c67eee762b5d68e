"""`clove deploy upgrade`."""

from __future__ import annotations

import functools

import click

from clove.cli.console import Console
from clove.cli.deploy.options import far_relay, interrupts_told, place_of
from clove.cli.deploy.show_command import complete_name
from clove.cli.deploy.shown import Shown
from clove.cli.fleet.relay_options import RELAY_HELP, choice_options
from clove.deploy.journal import Journal, Record, read, with_hub
from clove.deploy.kinds import make_target
from clove.deploy.relay import Enrolment, Relay
from clove.deploy.step import Upgradable
from clove.deploy.upgrade import change_back, upgradable, upgrade
from clove.errors import InvalidRequest

__all__ = ["command"]


@click.command(
    "upgrade",
    epilog=f"""\b
Examples:
  clove deploy upgrade build-7                       to the version of this command
  clove deploy upgrade build-7 --bundle FILE.tar.gz  to that of a bundle
  clove deploy upgrade build-7 --to 0.1.0-3fa94c21   to one that is there, or to an image's tag
  clove deploy upgrade build-7 --back                to the one before the last upgrade

Over the same way that deployed it. The new version is put beside the one in use; the kernel starts again, which ends
its agents (clove machines drain build-7 before, and wait). If it does not come back to the relay, or runs no agent, the
version before is used again.

{RELAY_HELP}""",
)
@click.argument("name", shell_complete=complete_name)
@click.option(
    "--bundle",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="To this one's.",
)
@click.option("--to", "version", metavar="VERSION", default="", help="To this version.")
@click.option("--back", is_flag=True, help="To the version before the last upgrade.")
@click.option("--hub", metavar="URL", help="What the machine dials [as it was deployed].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@functools.partial(choice_options, left_out="--relay")  # its relay is that of the deployment
@click.pass_obj
def command(
    console: Console,
    name: str,
    bundle: str | None,
    version: str,
    back: bool,
    hub: str | None,
    as_json: bool,
    context: str | None,
    token_file: str | None,
    ca_file: str | None,
) -> None:
    """Take a deployment to another version of Clove, or back."""
    console.as_json = console.as_json or as_json
    console.context = context or console.context
    if back and (bundle or version):
        raise InvalidRequest("--back goes without --to and --bundle")
    record = read(name)  # before the lock, which is of those that there are
    hub = hub or record.options.get("hub")
    relay = far_relay(console, record.relay, token_file, ca_file, hub)
    words = f"clove deploy upgrade {name}{' --back' if back else ''}"
    with Journal.locked(name) as journal, interrupts_told(console, words):
        target = _target(journal, journal.record or record, relay)
        enrolment = Enrolment(relay, name, record.machines)
        shown = Shown(console)
        if back:
            now = change_back(journal, target, enrolment, shown)
        else:
            now = upgrade(journal, target, enrolment, shown, version=version, bundle=bundle or "")
        before = journal.record.previous if journal.record else ""
    if console.as_json:
        console.data({"event": "upgraded", "name": name, "version": now, "previous": before})
        return
    console.line(f"{name} has {now}")
    if before and before != now:
        console.remark(f"before it had {before}; back to that: clove deploy upgrade {name} --back")


def _target(journal: Journal, record: Record, relay: Relay) -> Upgradable:
    """What is upgraded; another address that its machines are to dial is kept in the journal.

    @raise CloveError: it cannot be upgraded.
    """
    if relay.hub != record.options.get("hub", relay.hub):
        record = with_hub(record, relay.hub)
    made = make_target(record.target, place_of(record, relay), record.options)
    target = upgradable(made, record)
    if record != journal.record:
        journal.write(record)
    return target
