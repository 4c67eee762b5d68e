"""The source distribution, packed so that its bytes depend on its files alone."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from clove.deploy.bundle.archives import Member, write_tar
from tools.release.tree import copy_tree

__all__ = ["make_sdist"]

BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def make_sdist(directory: Path, time: int) -> Path:
    """Have setuptools make it from a copy of the tree, and pack it anew.

    @param time: seconds since 1970 that its files bear.
    @return: its path, in the directory.
    @raise subprocess.CalledProcessError: setuptools could not; it has said why.
    """
    with tempfile.TemporaryDirectory(prefix="clove-sdist-") as temporary:
        tree, out = Path(temporary, "tree"), Path(temporary, "out")
        copy_tree(tree)
        out.mkdir()
        words = [sys.executable, "-W", "ignore", "-c", BUILD, str(out)]
        done = subprocess.run(words, cwd=tree, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(done.stderr)
            done.check_returncode()
        (made,) = out.glob("*.tar.gz")
        members = {}
        with tarfile.open(made) as archive:
            for each in archive:
                if file := archive.extractfile(each):
                    members[each.name] = Member(file.read(), bool(each.mode & 0o100))
    write_tar(directory / made.name, members, time=time)
    return directory / made.name
