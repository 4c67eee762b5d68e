"""The wheel of clove-fast, the compiled part, for the Python that runs: `python -m tools.release.fast_wheel DIRECTORY`.

It is packed so that its bytes depend on the tree, the compiler and Python alone. It is tagged for Linux on this
processor, not for manylinux: it may be installed where the C library is as new as here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from clove.deploy.bundle.archives import Member, write_wheel
from clove.errors import CloveError, Unavailable
from tools.release.environment import release_python
from tools.release.tree import copy_tree

__all__ = ["make_fast_wheel"]

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def make_fast_wheel(directory: Path) -> Path:
    """Compile it from a copy of the tree, and pack it anew.

    @return: its path, in the directory.
    @raise Unavailable: there is no C compiler, or Python's header files are not here.
    @raise subprocess.CalledProcessError: it cannot be compiled; that was said.
    """
    _check_compiler()
    with tempfile.TemporaryDirectory(prefix="clove-fast-") as temporary:
        tree, out = Path(temporary, "tree"), Path(temporary, "out")
        copy_tree(tree)
        out.mkdir()
        words = [str(release_python()), "-W", "ignore", "-c", BUILD, str(out)]
        done = subprocess.run(words, cwd=tree / "fast", capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
            done.check_returncode()
        (made,) = out.glob("*.whl")
        with zipfile.ZipFile(made) as archive:
            members = {
                name: Member(archive.read(name), executable=name.endswith(".so"))
                for name in archive.namelist()
                if not name.endswith(".dist-info/RECORD")
            }
    directory.mkdir(parents=True, exist_ok=True)
    write_wheel(directory / made.name, members)
    return directory / made.name


def _check_compiler() -> None:
    if shutil.which(os.environ.get("CC") or "gcc") is None:
        raise Unavailable("there is no C compiler", hint="apt-get install gcc, or set CC")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        raise Unavailable(f"there is no {header}", hint="apt-get install python3-dev")


def main() -> int:
    """Make it; the exit code."""
    try:
        print(make_fast_wheel(Path(sys.argv[1])))
    except CloveError as error:
        print(f"{error}\n  hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
