"""Make a package index that offers newer releases than the locks.

`python tools/newer_releases.py DIRECTORY` fills it with empty wheels (PEP 427) of version 9999 of
every locked package, for pip's `--find-links`. When pip may choose it takes them; the locked
installation must not notice. Needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

__all__ = ["VERSION", "make_index"]

VERSION = "9999"
TREE = Path(__file__).resolve().parent.parent
WHEEL = "Wheel-Version: 1.0\nGenerator: clove\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_index(directory: Path) -> list[str]:
    """Make the wheels in a directory that exists.

    @return: the names of the packages, as the locks have them
    @raise OSError: when something cannot be read or written
    """
    text = "".join(lock.read_text() for lock in sorted(TREE.glob("requirements*.lock")))
    names = sorted(set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)))
    for name in names:
        stem = f"{name.replace('-', '_')}-{VERSION}"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n"
        files = {"METADATA": metadata, "WHEEL": WHEEL, "RECORD": ""}
        files["RECORD"] = "".join(f"{stem}.dist-info/{file},,\n" for file in files)
        with zipfile.ZipFile(directory / f"{stem}-py3-none-any.whl", "w") as archive:
            for file, content in files.items():
                archive.writestr(f"{stem}.dist-info/{file}", content)
    return names


if __name__ == "__main__":
    make_index(Path(sys.argv[1]))
