"""The virtual environment that `clove run --requirements` gives a program: found, awaited or built."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from clove.cli.environment_cache import Entry, EnvironmentCache, Lock, identity_of
from clove.cli.package_indexes import Index, find_index, without_passwords
from clove.cli.requirements import Requirements, read_requirements
from clove.cli.run_indexes import indexes_of
from clove.cli.text import size

if TYPE_CHECKING:
    from clove.cli.console import Console

__all__ = ["Provided", "key_of", "provide_environment"]

VERSION: Final = 1
"""Of how environments are built: another one, and none that was built before is found."""


class Provided(NamedTuple):
    """An environment, which is there as long as the lock is held.

    @ivar path: its directory.
    """

    path: str
    lock: Lock


def provide_environment(console: Console, paths: Sequence[str], python: str) -> Provided:
    """The environment that has what some files require; built if there is none yet.

    @param python: the interpreter that was chosen; of an environment, what that one stands on.
    @raise CloveError: a file is not there, or the build has failed.
    """
    index = find_index("pip", os.environ)
    identity = identity_of(python)
    requirements = read_requirements(paths, index.files)
    key = key_of(requirements, identity, index)
    cache = EnvironmentCache()
    cache.prepare()
    lock = cache.lock(key)
    with console.local_client() as client:
        client.noop()  # so that we know its socket
        entry = _found(console, cache, lock, key)
        cache.note_kernel(key, client.socket_path)
        if entry is None:
            from clove.cli.environment_build import Build, build_environment

            indexes = indexes_of(["pip"], [], os.environ, passwords=True)
            build = Build(key, requirements, identity[0], identity, indexes)
            entry = build_environment(console, client, cache, build)
            for each in filter(None, (indexes.remark, _said(entry))):
                console.remark(each)
            lock.take(fcntl.LOCK_SH)
        cache.note_use(key)
    return Provided(entry.path, lock)


def key_of(requirements: Requirements, identity: Sequence[Any], index: Index) -> str:
    """What an environment is found by: a hash of all that decides what is in it."""
    libc = os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else ""
    platform = [sys.platform, os.uname().machine, libc]
    urls = without_passwords(" ".join(index.urls))
    texts = [requirements.texts, requirements.first]
    whole = json.dumps([VERSION, platform, identity, urls, texts])
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _found(console: Console, cache: EnvironmentCache, lock: Lock, key: str) -> Entry | None:
    """One that is whole, its lock shared; None: it has to be built, and its lock is ours."""
    while True:
        if not lock.take(fcntl.LOCK_SH | fcntl.LOCK_NB):
            console.remark("another one builds the same environment: waiting for it")
            lock.take(fcntl.LOCK_SH)
        entry = cache.find(key)
        if entry is not None:
            return entry
        if not lock.take(fcntl.LOCK_EX | fcntl.LOCK_NB):
            lock.close()  # two that want to build it: neither holds what the other one waits for
            lock.take(fcntl.LOCK_EX)
        entry = cache.find(key)
        if entry is None:
            return None
        lock.close()


def _said(entry: Entry) -> str:
    names = ", ".join(map(os.path.basename, entry.record["requirements"]))
    return f"built {names} in {entry.record['seconds']:g} s ({size(entry.record['size'])})"
