"""What an installation and its end consist of: a list of actions, shown by a dry run, performed by a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clove.deploy.installer.bundle_directory import BundleDirectory, Problem
from clove.deploy.installer.enrolment import Enrolment
from clove.deploy.installer.layout import Layout
from clove.deploy.installer.placed import Placed
from clove.deploy.installer.releases import (
    activate,
    check_current,
    in_use,
    leads_elsewhere,
    make_release,
    releases,
    remove_release,
    systemd_of,
    unfinished,
)
from clove.deploy.installer.systemd import Systemd, users_without_state

__all__ = ["Action", "enrolling", "installing", "removing", "switching", "uninstalling"]

PROGRAMS = ("clove",)
"""What is linked into the user's path; C{twistd} may be another's there, so it is not."""
PREFIXES = ("/opt/clove/current", "%h/.local/share/clove/current")
"""How the shipped units name the release in use."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    @ivar text: what it does, for a person.
    @ivar perform: does it; None where there is nothing to do and the text says why.
    """

    text: str
    perform: Callable[[], object] | None = None


def installing(
    bundle: BundleDirectory, layout: Layout, placed: Placed, systemd: Systemd, *, units: bool
) -> Iterator[Action]:
    """Install a bundle: its release first, so that nothing leads to what is not there.

    @raise Problem: the release in use is another's.
    """
    check_current(layout)
    if bundle.release in releases(layout):
        yield Action(f"{layout.prefix / bundle.release} is there already")
    else:
        text = f"make {layout.prefix / bundle.release} ({len(bundle.wheels)} packages)"
        yield Action(text, partial(make_release, bundle, layout))
    yield from _leading_to(bundle.release, layout)
    for name in PROGRAMS:
        link, target = layout.programs / name, layout.current / "bin" / name
        yield _placing(placed, link, f"link {link}", partial(placed.add_link, link, target))
    if units:
        yield from _placing_files(bundle.systemd, layout, placed, systemd)


def switching(release: str, layout: Layout, placed: Placed, systemd: Systemd) -> Iterator[Action]:
    """Make a release the one in use, with its units where units were installed.

    @raise Problem: the release in use is another's.
    """
    check_current(layout)
    yield from _leading_to(release, layout)
    own = systemd_of(layout, release)
    if own.is_dir() and any(path.parent == layout.units for path in placed.paths):
        yield from _placing_files(own, layout, placed, systemd)


def _leading_to(release: str, layout: Layout) -> Iterator[Action]:
    before = in_use(layout)
    if before == release:
        yield Action(f"{layout.current} leads to it already")
    else:
        was = f" (was {before})" if before else ""
        yield Action(
            f"switch {layout.current} to {release}{was}", partial(activate, layout, release)
        )


def removing(release: str, layout: Layout) -> Iterator[Action]:
    """Remove one release.

    @raise Problem: it is in use, or there is none of that name.
    """
    place = layout.prefix / release
    led_to = layout.current.exists() and place.exists() and place.samefile(layout.current)
    if led_to or release == in_use(layout):
        raise Problem(f"{release} is in use", "switch to another first: --activate RELEASE")
    if release not in releases(layout):
        raise Problem(f"there is no release {release!r} in {layout.prefix}", "--list shows them")
    remove = partial(remove_release, layout, release)
    yield Action(f"remove {layout.prefix / release}", remove)


def _placing_files(
    source: Path, layout: Layout, placed: Placed, systemd: Systemd
) -> Iterator[Action]:
    found = (path for path in source.rglob("*") if path.is_file())
    files = layout.files(sorted(str(path.relative_to(source)) for path in found))
    placed_before = (path for path in placed.there if path.parent in layout.systemd.values())
    dropped = [path for path in placed_before if path not in files.values()]
    units = [path for path in dropped if path.parent == layout.units and placed.may_replace(path)]
    yield from _taking_away(dropped, units, placed, systemd)
    for name, path in files.items():
        content = _for_prefix((source / name).read_bytes(), layout)
        yield _placing(placed, path, f"write {path}", partial(placed.add_file, path, content))
    if not layout.user:
        chosen = list(files.values())
        yield Action(
            "make the users and directories that they name", partial(systemd.apply, chosen)
        )
    if files and systemd.runs:
        yield Action("have systemd read its units", partial(systemd.control, "daemon-reload"))


def _taking_away(
    paths: list[Path], units: list[Path], placed: Placed, systemd: Systemd
) -> Iterator[Action]:
    """Remove what was placed and is unchanged.

    @param units: those that are stopped before.
    """
    names = [path.name for path in units if "@" not in path.name]
    if names and systemd.runs:
        stop = partial(systemd.control, "disable", "--now", *names)
        yield Action(f"stop {', '.join(names)}", stop)
    for path in paths:
        if not placed.may_replace(path):
            yield Action(f"leave {path}: it was changed")
            continue
        if path.parent.name == "sysusers.d":
            for name in users_without_state(path):
                yield Action(f"remove the user {name}", partial(systemd.remove_user, name))
        yield Action(f"remove {path}", partial(placed.remove, path))


def _for_prefix(content: bytes, layout: Layout) -> bytes:
    for prefix in PREFIXES:
        content = content.replace(prefix.encode(), str(layout.current).encode())
    return content


def _placing(placed: Placed, path: Path, text: str, perform: Callable[[], object]) -> Action:
    if placed.may_replace(path):
        return Action(text, perform)
    return Action(f"leave {path} as it is: it was changed, or is not ours")


def enrolling(
    enrolment: Enrolment, layout: Layout, placed: Placed, systemd: Systemd
) -> Iterator[Action]:
    """Have the kernel join a relay at its next start, and start it."""
    settings = enrolment.settings_path(layout)
    text = enrolment.settings(layout).encode()
    yield _placing(placed, settings, f"write {settings}", partial(placed.add_file, settings, text))
    token = enrolment.token_path(layout)
    words = f"copy the join token to {token} (0600)"
    yield Action(words, partial(placed.add_file, token, enrolment.token, mode=0o600))
    if systemd.runs:
        start = partial(systemd.control, "enable", "clove-kernel.service")
        yield Action("enable clove-kernel.service", start)
        again = partial(systemd.control, "restart", "clove-kernel.service")
        yield Action("start clove-kernel.service", again)


def uninstalling(layout: Layout, placed: Placed, systemd: Systemd) -> Iterator[Action]:
    """Remove what was installed, and nothing else; what serves is stopped first."""
    paths = placed.there
    units = [path for path in paths if path.parent == layout.units]
    yield from _taking_away(paths, units, placed, systemd)
    if units and systemd.runs:
        yield Action("have systemd read its units", partial(systemd.control, "daemon-reload"))
    if leads_elsewhere(layout):
        yield Action(f"leave {layout.current}: it leads to what this has not installed")
    elif layout.current.is_symlink():
        yield Action(f"remove {layout.current}", partial(layout.current.unlink, missing_ok=True))
    for release in [*unfinished(layout), *releases(layout)]:
        remove = partial(remove_release, layout, release)
        yield Action(f"remove {layout.prefix / release}", remove)
    yield Action(f"remove {layout.prefix}, if nothing else is in it", partial(_clear, layout))


def _clear(layout: Layout) -> None:
    layout.record.unlink(missing_ok=True)
    (layout.prefix / ".lock").unlink(missing_ok=True)
    if layout.prefix.is_dir() and not any(layout.prefix.iterdir()):
        layout.prefix.rmdir()
