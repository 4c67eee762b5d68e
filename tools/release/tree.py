"""The source tree, and copies of it as git knows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["TREE", "copy_tree", "tracked"]

TREE = Path(__file__).resolve().parents[2]


def tracked() -> list[str]:
    """The files of the tree, relative to it: those that git tracks, else all that are no product of a build."""
    listed = ["git", "-C", str(TREE), "ls-files", "-z", "--cached"]
    if (TREE / ".git").exists():
        done = subprocess.run(listed, capture_output=True, text=True, check=True)
        names = [name for name in done.stdout.split("\0") if name]
        return sorted(name for name in names if (TREE / name).exists())
    made = {"__pycache__", "build", "dist", "apidocs", "site"}
    return sorted(
        str(path.relative_to(TREE))
        for path in TREE.rglob("*")
        if (path.is_file() or path.is_symlink())
        and not any(
            part in made or part.startswith(".venv") for part in path.relative_to(TREE).parts
        )
        and not path.match("*.egg-info/*")
        and path.name != "dropin.cache"
    )


def copy_tree(target: Path) -> None:
    """Copy it to a directory that is not there yet; links stay links."""
    for name in tracked():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TREE / name, path, follow_symlinks=False)
