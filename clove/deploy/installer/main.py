"""The command C{install} of a bundle, and C{python -m clove.deploy.installer.main} of an installed Clove."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from clove.deploy.installer.actions import (
    Action,
    enrolling,
    installing,
    removing,
    switching,
    uninstalling,
)
from clove.deploy.installer.bundle_directory import Problem, read_bundle
from clove.deploy.installer.enrolment import read_enrolment
from clove.deploy.installer.layout import Layout, system_layout, user_layout
from clove.deploy.installer.place import check_place, open_lock
from clove.deploy.installer.placed import Placed
from clove.deploy.installer.releases import in_use, releases
from clove.deploy.installer.systemd import Systemd

__all__ = ["main"]

EXAMPLES = """\
examples:
  ./install --dry-run                  what would be done
  sudo ./install                       into /opt/clove, with units for systemd
  ./install                            for yourself alone, into ~/.local/share/clove
  ./install --relay wss://relay.example.org:8765 --machine build-7 --join-token-file join
  ./install --list                     the releases that are there, and the one in use
  ./install --activate 0.1.0-3fa94c21  go back to another (then restart what runs)
  ./install --uninstall                remove all that was installed; state and agents' files stay

exit codes: 0 done, 1 failed, 2 not understood, 3 the bundle is for another Python or machine"""


def parser() -> argparse.ArgumentParser:
    """What may be asked for."""
    made = argparse.ArgumentParser(
        prog="install",
        description="Install Clove from this bundle. Nothing is fetched.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = made.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the releases that are installed")
    what.add_argument("--activate", metavar="RELEASE", help="use another release that is there")
    what.add_argument("--remove", metavar="RELEASE", help="remove a release that is not in use")
    what.add_argument("--uninstall", action="store_true", help="remove what was installed")
    made.add_argument(
        "--user", action="store_true", help="for yourself alone (so it is, unless root)"
    )
    made.add_argument("--prefix", type=Path, metavar="DIR", help="instead of /opt/clove")
    made.add_argument("--no-units", action="store_true", help="no units for systemd")
    made.add_argument("--relay", metavar="URL", help="join this relay, and start the kernel")
    made.add_argument("--machine", metavar="ID", help="the machine's id at the relay")
    made.add_argument("--join-token-file", metavar="FILE", help="a join token, good once")
    made.add_argument("--ca-file", metavar="FILE", help="what has signed the relay's certificate")
    made.add_argument("--dry-run", action="store_true", help="only say what would be done")
    made.add_argument("--json", action="store_true", help="say it as one JSON object")
    return made


def main(arguments: Sequence[str] | None = None, *, bundle: str | None = None) -> int:
    """Do what was asked for.

    @param bundle: the unpacked bundle; without one nothing new can be installed.
    @return: the exit code.
    """
    chosen = parser().parse_args(arguments)
    prefix = chosen.prefix and chosen.prefix.absolute()
    if chosen.user or os.geteuid():
        layout = user_layout(os.environ, Path.home(), prefix)
        os.umask(os.umask(0o022) | 0o022)  # no other user may write to it
    else:
        layout = system_layout(prefix)
        os.umask(0o022)  # what root installs is for all
    try:
        return _do(chosen, layout, bundle)
    except Problem as problem:
        print(f"install: {problem}\n  hint: {problem.hint}", file=sys.stderr)
        return problem.status
    except (OSError, ValueError) as error:
        print(f"install: {error}\n  hint: mend that and run it again", file=sys.stderr)
        return 1


def _do(chosen: argparse.Namespace, layout: Layout, bundle: str | None) -> int:
    if chosen.list:
        _show(layout, chosen.json)
        return 0
    before = in_use(layout)
    if chosen.dry_run:
        actions = list(_actions(chosen, layout, bundle))
    else:
        check_place(layout.prefix)
        layout.prefix.mkdir(parents=True, exist_ok=True)
        check_place(layout.prefix)  # it may have been made by another meanwhile
        with os.fdopen(open_lock(layout.prefix / ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            actions = list(_performed(_actions(chosen, layout, bundle), quiet=chosen.json))
    if chosen.json:
        after = before if chosen.dry_run else in_use(layout)
        result = {"prefix": str(layout.prefix), "release": after, "before": before}
        print(json.dumps(result | {"actions": [each.text for each in actions]}))
    elif chosen.dry_run:
        print("\n".join(each.text for each in actions))
    return 0


def _actions(chosen: argparse.Namespace, layout: Layout, bundle: str | None) -> Iterable[Action]:
    placed = Placed(layout.record)
    systemd = Systemd(layout, os.environ)
    if chosen.uninstall:
        return uninstalling(layout, placed, systemd)
    if chosen.activate:
        return switching(chosen.activate, layout, placed, systemd)
    if chosen.remove:
        return removing(chosen.remove, layout)
    if bundle is None:
        raise Problem("there is no bundle here", "unpack one and run its ./install, or see --help")
    read = read_bundle(Path(bundle))
    joining = read_enrolment(chosen.relay, chosen.machine, chosen.join_token_file, chosen.ca_file)
    if read.release not in releases(layout):
        read.check_space(layout.prefix)
    actions = list(installing(read, layout, placed, systemd, units=not chosen.no_units))
    return actions + list(enrolling(joining, layout, placed, systemd) if joining else ())


def _performed(actions: Iterable[Action], *, quiet: bool) -> Iterable[Action]:
    for action in actions:
        if not quiet:
            print(action.text, flush=True)
        if action.perform:
            action.perform()
        yield action


def _show(layout: Layout, as_json: bool) -> None:
    used = in_use(layout)
    if as_json:
        facts = {"prefix": str(layout.prefix), "release": used, "releases": releases(layout)}
        print(json.dumps(facts))
        return
    for release in releases(layout):
        print(f"{release}{' (in use)' if release == used else ''}")


if __name__ == "__main__":
    sys.exit(main())
