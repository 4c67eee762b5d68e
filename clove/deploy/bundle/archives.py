"""Archives whose bytes depend on what is in them alone: no times, owners or order of a file system."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Member", "read_member", "write_tar", "write_wheel"]


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive.

    @ivar executable: whether it may be run; all else of its mode is the same for all.
    """

    content: bytes
    executable: bool = False

    @property
    def mode(self) -> int:
        """Its permissions."""
        return 0o755 if self.executable else 0o644


def read_member(path: Path) -> Member:
    """A file as a member.

    @raise OSError: it cannot be read.
    """
    return Member(path.read_bytes(), bool(path.stat().st_mode & 0o100))


def write_tar(path: Path, members: Mapping[str, Member], *, time: int) -> None:
    """Write a C{.tar.gz}, in the order of names, owned by root. A link of that name is not written through.

    @param time: seconds since 1970 that all of it bears.
    @raise OSError: it cannot be written.
    """
    path.unlink(missing_ok=True)
    with path.open("xb") as file, gzip.GzipFile("", "wb", 9, file, mtime=time) as packed:
        _write_tar(packed, members, time)


def _write_tar(file: gzip.GzipFile, members: Mapping[str, Member], time: int) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in _with_directories(members):
            information = tarfile.TarInfo(name)
            information.mtime = time
            information.uname = information.gname = "root"
            if member := members.get(name):
                information.size = len(member.content)
                information.mode = member.mode
                archive.addfile(information, io.BytesIO(member.content))
            else:
                information.type = tarfile.DIRTYPE
                information.mode = 0o755
                archive.addfile(information)


def _with_directories(names: Mapping[str, Member]) -> list[str]:
    parents = {str(parent) for name in names for parent in Path(name).parents}
    return sorted((parents - {"."}) | set(names))


def write_wheel(path: Path, members: Mapping[str, Member]) -> None:
    """Write a wheel, its C{RECORD} made anew and last.

    Its files bear the earliest time that a zip file knows, so that an installed Clove, of which nothing tells
    when it was made, is packed again to the same bytes.

    @param members: all files but C{RECORD}; one of them is the C{METADATA} in its C{.dist-info}.
    @raise OSError: it cannot be written.
    """
    (metadata,) = (name for name in members if name.endswith(".dist-info/METADATA"))
    record = metadata.removesuffix("METADATA") + "RECORD"
    lines = [f"{name},{digest(members[name])}" for name in sorted(members)]
    text = "".join(f"{line}\n" for line in [*lines, f"{record},,"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            _add(archive, name, members[name])
        _add(archive, record, Member(text.encode()))


def digest(member: Member) -> str:
    """Hash and size, as C{RECORD} has them."""
    sha = base64.urlsafe_b64encode(hashlib.sha256(member.content).digest()).rstrip(b"=")
    return f"sha256={sha.decode()},{len(member.content)}"


def _add(archive: zipfile.ZipFile, name: str, member: Member) -> None:
    information = zipfile.ZipInfo(name)  # 1980-01-01
    information.external_attr = (0o100000 | member.mode) << 16
    information.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(information, member.content)
