"""Build the documentation as a site: `python -m tools.site [DIRECTORY]` (`make site`).

The pages of docs/ as they are, with what is made from the code beside them (commands, the relay's REST API), by
Sphinx, MyST and furo out of .venv-release. Warnings are errors.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from clove._version import __version__
from tools.release.environment import release_python
from tools.release.tree import TREE
from tools.site.commands import write_commands
from tools.site.index import write_index
from tools.site.relay_api import write_relay_api

COPIED = ("CONTRIBUTING.md", "README.md", "docs", "deploy", "examples")
"""What pages link to, at the same relative paths, so that no link has to be changed."""


def prepare(source: Path) -> None:
    """Lay out what Sphinx reads.

    @param source: an empty directory.
    """
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in COPIED:
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, source / name, ignore=ignored)
        else:
            shutil.copy(TREE / name, source / name)
    for path in (TREE / "tools/site/sphinx").iterdir():
        shutil.copy(path, source / path.name)
    write_commands(source / "reference/commands")
    write_relay_api(source / "reference/relay-api.md")
    write_index(source)


def main() -> int:
    """Build it; the exit code."""
    parser = argparse.ArgumentParser(description="Build the documentation as a site.")
    parser.add_argument("directory", nargs="?", type=Path, default=TREE / "site")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clove-site-") as temporary:
        source, built = Path(temporary, "source"), Path(temporary, "built")
        source.mkdir()
        prepare(source)
        words = [
            str(release_python()),
            "-m",
            "sphinx",
            "-W",
            "--keep-going",
            "-q",
            "-n",
            "-b",
            "html",
        ]
        words += ["-d", f"{temporary}/doctrees", "-D", f"release={__version__}"]
        done = subprocess.run([*words, str(source), str(built)], check=False)
        if done.returncode:
            return 1
        shutil.rmtree(chosen.directory, ignore_errors=True)
        shutil.move(built, chosen.directory)
    pages = sum(1 for _ in chosen.directory.rglob("*.html"))
    print(f"{pages} pages, {chosen.directory}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
