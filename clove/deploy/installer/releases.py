"""Releases below a prefix: made whole or not at all, and which one is in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from clove.deploy.installer.bundle_directory import RELEASE, BundleDirectory, Problem
from clove.deploy.installer.layout import Layout

__all__ = [
    "activate",
    "check_current",
    "in_use",
    "leads_elsewhere",
    "make_release",
    "releases",
    "remove_release",
    "systemd_of",
    "unfinished",
]

BEGUN: Final = ".clove-begun"
"""A file that is written first: the directory is ours, whatever becomes of it."""
WHOLE: Final = ".clove-release"
"""A file that is written last: a release without it was not finished."""
SYSTEMD: Final = "systemd"
"""A directory with what the bundle has for systemd, so that whoever goes back gets that release's units too."""
PLUGINS: Final = "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"
"""Has Twisted write down which plugins there are, since the users of the programs could not."""
COMPILE: Final = (
    "import compileall, sysconfig;"
    "compileall.compile_dir(sysconfig.get_path('purelib'), quiet=2, workers=0)"
)
"""What pip does one file after the other, on all processors. A file that is no Python is left, as by pip."""


def releases(layout: Layout) -> list[str]:
    """Those that are whole, by name."""
    return [name for name in _ours(layout) if (layout.prefix / name / WHOLE).is_file()]


def unfinished(layout: Layout) -> list[str]:
    """Those that an installation which was killed has left, by name."""
    return [name for name in _ours(layout) if not (layout.prefix / name / WHOLE).is_file()]


def _ours(layout: Layout) -> list[str]:
    if not layout.prefix.is_dir():
        return []
    return sorted(
        path.name
        for path in layout.prefix.iterdir()
        if RELEASE.fullmatch(path.name) and not path.is_symlink() and (path / BEGUN).is_file()
    )


def in_use(layout: Layout) -> str | None:
    """The release that C{current} leads to, if there is one."""
    return os.readlink(layout.current) if layout.current.is_symlink() else None


def leads_elsewhere(layout: Layout) -> bool:
    """Whether C{current} leads to what no bundle has installed here, as the link of the Debian package does."""
    if not (layout.current.is_symlink() and layout.current.exists()):
        return False
    ours = (layout.prefix / name for name in _ours(layout))
    return not any(path.samefile(layout.current) for path in ours)


def check_current(layout: Layout) -> None:
    """@raise Problem: the release in use is another's, which C{current} would lead away from."""
    if leads_elsewhere(layout):
        raise Problem(
            f"{layout.current} leads to {in_use(layout)}, which no bundle has installed",
            "if that is the Debian package's: dpkg --install a newer one, or dpkg --remove clove first;"
            " or name another place: --prefix DIRECTORY",
        )


def systemd_of(layout: Layout, release: str) -> Path:
    """What a release has for systemd; one that an earlier Clove made has none."""
    return layout.prefix / release / SYSTEMD


def make_release(bundle: BundleDirectory, layout: Layout) -> None:
    """Make a release of a bundle; what is left of an earlier try is removed first.

    @raise Problem: Python or pip could not; nothing of it is left.
    @raise OSError: something cannot be written.
    """
    place = layout.prefix / bundle.release
    remove_release(layout, bundle.release)
    place.mkdir(parents=True)
    try:
        (place / BEGUN).touch()
        _fill(bundle, place)
        shutil.copytree(bundle.systemd, place / SYSTEMD)
        (place / WHOLE).write_text(f"{bundle.release}\n")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _fill(bundle: BundleDirectory, place: Path) -> None:
    """A virtual environment without Debian's python3-venv: pip comes as a wheel, and runs out of it."""
    _run("no virtual environment can be made", sys.executable, "-m", "venv", "--without-pip", place)
    python = place / "bin/python"
    (pip,) = (path for path in bundle.wheels if path.name.startswith("pip-"))
    words: list[str | Path] = [python, f"{pip}/pip", "install", "--isolated", "--quiet"]
    words += ["--no-index", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    words += ["--disable-pip-version-check", "--no-cache-dir", "--no-compile"]
    words += ["--find-links", bundle.path / "wheels", "-r", bundle.path / "requirements.txt"]
    _run("the wheels cannot be installed", *words)
    _run("the modules cannot be compiled", python, "-I", "-c", COMPILE)
    _run("Twisted's plugins cannot be read", python, "-I", "-c", PLUGINS)


def _run(failure: str, *words: str | Path) -> None:
    quiet = {
        name: text for name, text in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))
    }
    done = subprocess.run(
        [str(word) for word in words],
        env=quiet | {"LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()] or ["no reason given"]
        raise Problem(f"{failure}: {said[-1]}", "nothing was changed; mend that and run it again")


def activate(layout: Layout, release: str) -> None:
    """Make C{current} lead to a release, in one step.

    @raise Problem: there is no such release.
    """
    have = releases(layout)
    if release not in have:
        raise Problem(
            f"there is no release {release!r} in {layout.prefix}",
            f"there are: {', '.join(have) or 'none'}",
        )
    link = layout.prefix / ".current"
    link.unlink(missing_ok=True)
    link.symlink_to(release)
    link.replace(layout.current)


def remove_release(layout: Layout, release: str) -> None:
    """Remove a release: first the mark that it is whole, last the one that it is ours, so that a half of it can be removed.

    @raise OSError: something of it cannot be removed.
    """
    place = layout.prefix / release
    (place / WHOLE).unlink(missing_ok=True)
    if not place.exists():
        return
    for path in place.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != BEGUN:
            path.unlink()
    shutil.rmtree(place)
