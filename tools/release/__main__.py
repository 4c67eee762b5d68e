"""Make a release: `python -m tools.release DIRECTORY` (`make dist`).

Wheel, source distribution, a bundle for each target, the Debian package, the wheel of clove-fast, a CycloneDX SBOM and
SHA256SUMS. All of it depends on the tree and SOURCE_DATE_EPOCH alone (the time of the last commit when that is not set):
`--compare` makes it twice, from two copies of the tree, and compares the bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from clove._version import __version__
from clove.deploy.bundle import Bundle, Target, make_bundle
from clove.deploy.bundle.maker import source_time
from clove.errors import CloveError
from tools.release.debian import make_package
from tools.release.environment import release_python
from tools.release.fast_wheel import make_fast_wheel
from tools.release.sbom import make_sbom
from tools.release.sdist import make_sdist
from tools.release.tree import TREE, copy_tree

TARGETS = ("3.11:x86_64",)
"""What bundles and packages are made for: Debian 12's Python. Others: --target 3.13:aarch64."""


def make(directory: Path, targets: list[Target]) -> None:
    """Make all of it in a directory that is there, and say what.

    @raise CloveError: something is missing; says what to do.
    """
    fast = make_fast_wheel(directory)
    made = [make_sdist(directory, source_time()), fast]
    bundles: list[Bundle] = []
    for target in targets:
        print(f"  bundle and Debian package for {target.name} ...", flush=True)
        bundle = make_bundle(directory, target)
        bundles.append(bundle)
        made += [bundle.path, make_package(bundle, directory, source_time())]
    made.append(_own_wheel(bundles[0], directory))
    here = Target.here()
    for bundle in bundles:
        if bundle.target == here:  # what it lists is what that bundle installs
            made.append(make_sbom(bundle, fast, directory, source_time()))
    sums = [f"{_sha256(path)}  {path.name}\n" for path in sorted(made)]
    (directory / "SHA256SUMS").write_text("".join(sums))
    for path in sorted(made):
        print(f"  {path.stat().st_size / 1e6:7.2f} MB  {path.name}")


def _own_wheel(bundle: Bundle, directory: Path) -> Path:
    """Clove's wheel out of a bundle: all bundles have the same, and building it takes seconds."""
    with tarfile.open(bundle.path) as archive:
        (member,) = (each for each in archive if re.search(r"/wheels/clove-[^/]*\.whl$", each.name))
        content = archive.extractfile(member)
        assert content is not None
        path = directory / Path(member.name).name
        path.write_bytes(content.read())
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compare(directory: Path, targets: list[str]) -> int:
    """Make it twice, each from a copy of the tree with its own path, times and umask; 1 when they differ.

    @param directory: where the first is put, if they are the same.
    """
    with tempfile.TemporaryDirectory(prefix="clove-release-") as temporary:
        copies = [Path(temporary, "one"), Path(temporary, "a longer name")]
        for copy, umask in zip(copies, (0o022, 0o077), strict=True):
            os.umask(umask)
            copy_tree(copy / "tree")
            (copy / "tree/.venv-release").symlink_to(release_python().parents[1])
        sums = []
        time = str(source_time())  # of one commit, whatever is committed meanwhile
        for copy in copies:
            words = [sys.executable, "-m", "tools.release", str(copy / "dist"), *targets]
            variables = {"PYTHONPATH": str(copy / "tree"), "SOURCE_DATE_EPOCH": time}
            subprocess.run(words, check=True, cwd=copy / "tree", env=os.environ | variables)
            sums.append((copy / "dist/SHA256SUMS").read_text())
        if sums[0] == sums[1]:
            shutil.rmtree(directory, ignore_errors=True)
            shutil.move(copies[0] / "dist", directory)
    if sums[0] == sums[1]:
        print(f"two builds are the same, byte for byte: {len(sums[0].splitlines())} files")
        return 0
    differ = set(sums[0].splitlines()) ^ set(sums[1].splitlines())
    print("two builds differ in:", *sorted({line.split()[1] for line in differ}), file=sys.stderr)
    return 1


def main() -> int:
    """Do what was asked for; the exit code."""
    parser = argparse.ArgumentParser(description="Make a release.")
    parser.add_argument("directory", nargs="?", type=Path, default=TREE / "dist")
    parser.add_argument("--target", action="append", metavar="3.N:MACHINE", help="may be repeated")
    parser.add_argument("--compare", action="store_true", help="make it twice and compare")
    chosen = parser.parse_args()
    names = chosen.target or list(TARGETS)
    if chosen.compare:
        return compare(chosen.directory, [f"--target={name}" for name in names])
    os.umask(0o022)
    chosen.directory.mkdir(parents=True, exist_ok=True)
    for old in chosen.directory.iterdir():
        old.unlink()
    print(f"Clove {__version__}, in {chosen.directory}:")
    try:
        make(chosen.directory, [Target(*name.split(":")) for name in names])
    except CloveError as error:
        print(f"{error}\n  hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
