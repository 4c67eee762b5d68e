"""The journal of one deployment: which steps were begun and done, with what is known of them.

A directory for each deployment (0700) has C{journal.json} (0600), which is written beside and renamed, and whatever
the target keeps there. One command at a time has its lock.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from clove._version import __version__
from clove.deploy.facts import KnownFacts, check_facts
from clove.deploy.private import check_own, lock_directory
from clove.errors import CloveError, Internal, InvalidRequest, NotFound, Unavailable
from clove.regular import write_whole

__all__ = [
    "FORMAT",
    "Entry",
    "Journal",
    "Record",
    "check_name",
    "deployments",
    "home",
    "read",
    "with_hub",
]

FORMAT: Final = 1
"""Of the journals that this version reads and writes."""
MOST: Final = 1 << 20
"""Bytes of a journal."""
_FILE: Final = "journal.json"
_NEW: Final = "journal.json.new"
_LOCK: Final = "lock"
_READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECRET: Final = re.compile(r"clove_[a-z]+_[0-9A-Za-z]{8}")


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step.

    @ivar at: when that was so, seconds since the epoch.
    @ivar facts: what it has made or found.
    """

    step: str
    state: Literal["begun", "done", "undone"]
    at: float
    facts: dict[str, Any] = {}


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is known of a deployment.

    @ivar target: its kind: C{ssh}, C{docker}, ...
    @ivar options: what it was begun with, as the target takes it.
    @ivar relay: the address of the relay's REST API.
    @ivar machines: ids.
    @ivar command: what was typed, which goes on with it.
    @ivar clove: the version that wrote this.
    @ivar previous: the version that was in use before the last upgrade; "": none.
    @ivar upgrading: a change to another version was begun, and is not proven yet.
    @ivar goal: which one, where it is the way back.
    """

    format: int = FORMAT
    name: str
    target: str
    options: dict[str, Any]
    relay: str
    machines: list[str]
    command: str
    created: float
    clove: str = __version__
    previous: str = ""
    upgrading: bool = False
    goal: str = ""
    steps: list[Entry] = []

    @property
    def facts(self) -> dict[str, Any]:
        """Those of all steps; of two the later one's."""
        found = KnownFacts()
        found.name = self.name
        for entry in self.steps:
            found.update(entry.facts)
        return found

    def entry(self, step: str) -> Entry | None:
        """That of a step; None: it was never begun."""
        return next((entry for entry in self.steps if entry.step == step), None)


def with_hub(record: Record, hub: str) -> Record:
    """The same deployment, whose machines dial another address of their relay.

    @param hub: C{wss://...}.
    """
    words = shlex.split(record.command)
    for at, word in enumerate(words):
        if word.partition("=")[0] == "--hub":
            del words[at : at + (1 if "=" in word else 2)]
            break
    command = shlex.join([*words, "--hub", hub])
    options = {**record.options, "hub": hub}
    return msgspec.structs.replace(record, options=options, command=command)


def home() -> Path:
    """Where deployments are kept: C{$XDG_STATE_HOME/clove/deployments}."""
    base = os.environ.get("XDG_STATE_HOME", "")
    above = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return above / "clove" / "deployments"


def check_name(name: str) -> str:
    """A name that may be one of a directory, a container, a unit and a machine.

    @raise InvalidRequest: it may not.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{name!r} cannot be the name of a deployment",
            hint="at most 63 letters, digits and . _ -, the first a letter or digit; say another with --name",
        )
    return name


def deployments(where: Path | None = None) -> list[str]:
    """The names of those that there are, sorted."""
    where = where or home()
    try:
        found = sorted(entry.name for entry in os.scandir(where) if entry.is_dir())
    except FileNotFoundError:
        return []
    return [name for name in found if _NAME.fullmatch(name) and (where / name / _FILE).exists()]


def read(name: str, where: Path | None = None) -> Record:
    """What is known of a deployment, as it is on the disk now.

    @raise NotFound: there is none.
    @raise InvalidRequest: it is damaged, or of a newer Clove.
    """
    path = (where or home()) / check_name(name) / _FILE
    found = _read(path)
    if found is None:
        from clove.spelling import guess

        meant = guess(name, tuple(deployments(where)))
        raise NotFound(
            f"there is no deployment {name}",
            hint=f"did you mean {meant}?" if meant else "clove deploy list",
        )
    return found


class Journal:
    """A deployment's journal, locked.

    @ivar directory: of the deployment; the target may keep files there.
    @ivar record: as it is on the disk; None: there is none yet.
    """

    def __init__(self, directory: Path, record: Record | None) -> None:
        self.directory = directory
        self.record = record

    @classmethod
    @contextlib.contextmanager
    def locked(cls, name: str, where: Path | None = None) -> Iterator[Journal]:
        """The one of this name, for as long as nothing else may write it.

        @raise AlreadyExists: another command works on it.
        @raise PermissionDenied: the directory is another user's, or others may write it.
        @raise InvalidRequest: it is damaged, or of a newer Clove.
        """
        where = where or home()
        directory = where / check_name(name)
        lock = lock_directory(directory, _LOCK)
        try:
            yield cls(directory, _read(directory / _FILE))
        finally:
            with contextlib.suppress(OSError):
                if not (directory / _FILE).exists():  # nothing was begun, or all was undone
                    (directory / _NEW).unlink(missing_ok=True)
                    (directory / _LOCK).unlink()
                    directory.rmdir()
            os.close(lock)

    def write(self, record: Record) -> None:
        """Keep it, on the disk, before this returns.

        @raise Internal: it has a token in it.
        @raise Unavailable: it cannot be written, or is too large.
        """
        data = msgspec.json.format(msgspec.json.encode(record), indent=2)
        if len(data) > MOST:  # it could not be read again
            raise Unavailable(
                f"the journal of {record.name} would have {len(data)} bytes, and may have {MOST}"
            )
        if _SECRET.search(data.decode()):
            raise Internal("a token was about to be written into a journal", hint="report this")
        try:
            write_whole(self.directory / _FILE, data)
        except OSError as error:
            raise Unavailable(
                f"cannot write {self.directory / _FILE}: {error.strerror}",
                hint="make room there; the same command goes on",
            ) from None
        self.record = record

    def note(self, step: str, state: Literal["begun", "done", "undone"], facts: Any = None) -> None:
        """What has become of a step.

        @param facts: None: those that it had.
        """
        assert self.record is not None
        old = self.record.entry(step)
        kept = (old.facts if old else {}) if facts is None else dict(facts)
        new = Entry(step=step, state=state, at=time.time(), facts=kept)
        steps = [new if entry.step == step else entry for entry in self.record.steps]
        if old is None:
            steps.append(new)
        self.write(msgspec.structs.replace(self.record, steps=steps, clove=__version__))

    def remove(self) -> None:
        """Forget the deployment, and what its target has kept."""
        for entry in list(os.scandir(self.directory)):
            if entry.name not in (_LOCK, _FILE):
                path = self.directory / entry.name
                shutil.rmtree(path) if entry.is_dir(follow_symlinks=False) else path.unlink()
        (self.directory / _FILE).unlink(missing_ok=True)
        self.record = None


def _read(path: Path) -> Record | None:
    try:
        with os.fdopen(os.open(path, _READING), "rb") as file:
            check_own(os.fstat(file.fileno()), path)
            data = file.read(MOST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from None
    try:
        found = msgspec.json.decode(data)["format"]
        if isinstance(found, int) and found > FORMAT:
            raise _newer(path, found)
        record = msgspec.json.decode(data, type=Record)
        if record.name != path.parent.name:  # a copy: what it lists belongs to the other one
            raise ValueError(f"it is that of {record.name}")
        for entry in record.steps:
            check_facts(entry.step, entry.facts)
        return record
    except CloveError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidRequest(
            f"{path} is damaged ({error})",
            hint="it says what was made: read it, remove that by hand, then the directory",
        ) from None


def _newer(path: Path, found: int) -> InvalidRequest:
    return InvalidRequest(
        f"{path} is of a newer Clove (format {found}; this one, {__version__}, knows {FORMAT})",
        hint="use the version that wrote it, or a newer one",
    )
