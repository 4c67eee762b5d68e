"""Bundles that differ from one that was made: in the name of the release, or in a kernel that does not start."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

__all__ = ["make_variant"]


def make_variant(source: str, path: Path, release: str, *, broken: bool = False) -> str:
    """Write one; gives its path."""
    with tarfile.open(source) as old:
        files = [(member, _content(old, member)) for member in old]
    wheels = {member.name: data for member, data in files if "/wheels/clove-" in member.name}
    [(name, wheel)] = wheels.items()
    other = _broken(wheel) if broken else wheel
    with tarfile.open(path, "w:gz", compresslevel=1) as new:
        for member, data in files:
            if member.name == name:
                data = other
            elif member.name.endswith("/bundle.json"):
                data = json.dumps({**json.loads(data), "release": release}).encode()
            elif member.name.endswith("/requirements.txt"):
                data = data.replace(_digest(wheel), _digest(other))
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return str(path)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isfile() else None
    return b"" if file is None else file.read()


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _broken(wheel: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel)) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            tap = info.filename == "clove/kernel/tap.py"
            new.writestr(info, b"raise RuntimeError('broken')\n" if tap else old.read(info))
    return made.getvalue()
