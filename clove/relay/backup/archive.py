"""The archive that a backup is: a tar file with a manifest, the store and the relay's id. Blocking."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from typing import Final

import msgspec

from clove.errors import InvalidRequest
from clove.relay.hub.relay_id import is_relay_id

__all__ = [
    "DUMP",
    "FORMAT",
    "RELAY_ID",
    "SQLITE",
    "Manifest",
    "data_digest",
    "file_digest",
    "read_archive",
    "write_archive",
]

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SQLITE: Final = "relay.sqlite"
DUMP: Final = "database.dump"
RELAY_ID: Final = "relay.id"
MOST_SMALL: Final = 1 << 16
"""Bytes of a member that is read into memory."""
MOST_MEMBERS: Final = 3
_PIECE: Final = 1 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself.

    @ivar store: C{sqlite} or C{postgresql}.
    @ivar schema: version of the tables.
    @ivar made: in seconds since 1970.
    @ivar members: SHA-256 of each, in hex.
    """

    format: int
    clove: str
    made: float
    store: str
    schema: int
    machines: int
    tokens: int
    members: dict[str, str]


def write_archive(path: str, manifest: Manifest, store: str, relay_id: str) -> None:
    """Make it, with the mode 0600.

    @param store: file with the store, or its dump.
    """
    name = SQLITE if manifest.store == "sqlite" else DUMP
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            _add(archive, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            _add(archive, RELAY_ID, relay_id.encode())
            archive.add(store, name, filter=_plain)
        file.flush()
        os.fsync(file.fileno())


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = _plain(tarfile.TarInfo(name))
    member.size = len(data)
    member.mtime = int(time.time())
    archive.addfile(member, io.BytesIO(data))


def read_archive(path: str, kind: str, target: str) -> tuple[Manifest, str]:
    """Write the store of a backup into a file; gives what it says of itself, and the relay's id.

    @raise InvalidRequest: it is none, it is damaged, or of the other kind of store.
    """
    wanted = SQLITE if kind == "sqlite" else DUMP
    try:
        with tarfile.open(path, mode="r:") as archive:
            members = _members(archive, os.path.getsize(path))
            manifest = _manifest(archive, members)
            if manifest.store != kind:
                raise InvalidRequest(
                    f"{path} is a backup of a {manifest.store} store, and this relay's is {kind}",
                    hint="see store.postgresql in the configuration (--config)",
                )
            relay_id = _read(archive, members[RELAY_ID])
            _copy(archive, members[wanted], target)
    except (
        tarfile.TarError,
        LookupError,
        EOFError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InvalidRequest(f"{path} is no whole backup: {error}", hint="use another") from None
    found = {wanted: file_digest(target), RELAY_ID: data_digest(relay_id)}
    if found != manifest.members or not is_relay_id(relay_id):
        raise InvalidRequest(f"{path} is damaged: its checksums differ", hint="use another backup")
    return manifest, relay_id.decode()


def _members(archive: tarfile.TarFile, size: int) -> dict[str, tarfile.TarInfo]:
    """The members that a backup has, by name: plain files, which are as long in the archive as they say.

    Whatever a file says, no more of it is looked at, nor written out of it than it has: a sparse member would be
    as long as it likes, and one with a negative length has the library read the same for ever.

    @raise ValueError: there is something else.
    """
    found: dict[str, tarfile.TarInfo] = {}
    for _ in range(MOST_MEMBERS):
        member = archive.next()
        if member is None:
            return found
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise ValueError("it has something else than plain files")
        if not 0 <= member.size <= size:
            raise ValueError("a file in it is longer than all of it")
        found[member.name] = member
    if archive.next() is not None:
        raise ValueError(f"it has more than {MOST_MEMBERS} files")
    return found


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, target: str) -> None:
    source = archive.extractfile(member)
    assert source is not None
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        while piece := source.read(_PIECE):
            new.write(piece)
        new.flush()
        os.fsync(new.fileno())


def _manifest(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> Manifest:
    try:
        found = msgspec.json.decode(_read(archive, members[MANIFEST]), type=Manifest)
    except msgspec.MsgspecError:
        raise InvalidRequest("its manifest.json is damaged", hint="use another backup") from None
    if found.format != FORMAT:
        raise InvalidRequest(
            f"a backup of form {found.format} (Clove {found.clove}), this Clove knows {FORMAT}",
            hint="restore it with the Clove that made it",
        )
    return found


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = archive.extractfile(member)
    assert source is not None
    return source.read(MOST_SMALL)


def file_digest(path: str) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_digest(data: bytes) -> str:
    """The same of what is in memory."""
    return hashlib.sha256(data).hexdigest()
