"""Fetch the peers that are not there: `python -m bench.peers [NAME...]` (`make bench-peers`).

Each goes into a directory of its own below the user's cache; nothing is installed into the machine or
into Clove's environment. Python's come from the package index, Redis from Debian's archive. Clove's own compiled part
is built beside the tree, as C{make test-fast} does.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from bench.peers.found import directory, redis
from bench.servers import Unavailable
from tools import fast_venv

COMPILED = "compiled"
PACKAGES = {"uvloop": "uvloop", "litellm": "litellm[proxy]"}
SIZES = {"uvloop": "40 MB", "litellm": "760 MB", "redis": "10 MB", COMPILED: "250 MB"}
"""What each takes on the disk, roughly."""
DEBIAN = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")


def fetch_python(name: str) -> None:
    """Make an environment with a package.

    @raise subprocess.CalledProcessError: pip says why.
    """
    place = directory() / name
    venv.create(place, with_pip=True)
    pip = [str(place / "bin" / "pip"), "install", "--quiet", "--only-binary", ":all:"]
    subprocess.run([*pip, PACKAGES[name]], check=True)


def fetch_redis() -> None:
    """Unpack Debian's packages.

    @raise Unavailable: this is no Debian.
    @raise subprocess.CalledProcessError: apt says why.
    """
    if shutil.which("apt-get") is None:
        raise Unavailable("no apt-get here: install redis-server as your system does")
    with tempfile.TemporaryDirectory() as temporary:
        options = ["-o", "APT::Sandbox::User=root", "-qq", "download"]
        subprocess.run(["apt-get", *options, *DEBIAN], check=True, cwd=temporary)
        for package in Path(temporary).glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(directory() / "redis")], check=True)


def build_compiled() -> None:
    """Build the compiled part of this tree, into an environment beside the tree's own.

    @raise Unavailable: there is no C compiler, or no header files of Python's.
    """
    if fast_venv.main():
        raise Unavailable("it cannot be built here")


def is_there(name: str) -> bool:
    """Whether a peer needs no fetching."""
    if name == COMPILED:
        return False
    if name != "redis":
        return (directory() / name / "bin" / "python").exists()
    try:
        redis()
    except Unavailable:
        return False
    return True


def main() -> int:
    """The command line; 1 if one cannot be had."""
    parser = argparse.ArgumentParser(prog="bench.peers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SIZES)} (all)")
    chosen = parser.parse_args().names or list(SIZES)
    if unknown := set(chosen) - set(SIZES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SIZES)}")
    failed = 0
    for name in chosen:
        if is_there(name):
            print(f"{name}: there")
            continue
        print(f"{name}: about {SIZES[name]} on the disk", flush=True)
        directory().mkdir(parents=True, exist_ok=True)
        try:
            if name == COMPILED:
                build_compiled()
            else:
                fetch_redis() if name == "redis" else fetch_python(name)
        except (Unavailable, subprocess.CalledProcessError) as error:
            print(f"{name}: cannot be had: {error}", file=sys.stderr)
            shutil.rmtree(directory() / name, ignore_errors=True)
            failed = 1
    print(f"they are in {directory()}; remove it when you need them no more")
    return failed


if __name__ == "__main__":
    sys.exit(main())
