"""A script that was found may still not be readable; SPAWN says so."""

from __future__ import annotations

import os

import pytest

from clove.errors import InvalidRequest, LimitExceeded
from clove.kernel.calls.scripts import ScriptFile


class Held:
    """A file that was found."""

    path = "/agent.py"
    kind = "file"

    def close(self) -> None:
        """Nothing is held."""


def load(path: str, limit: int = 100) -> bytes:
    return ScriptFile(Held(), path, lambda: os.open(path, os.O_RDONLY), limit).load()  # type: ignore[arg-type]


def test_what_can_be_opened_and_not_read_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest, match="the script cannot be read: Input/output error"):
        load("/proc/self/mem")
    with pytest.raises(InvalidRequest, match="the script cannot be read: No such file"):
        load("/proc/self/nothing")


def test_what_is_no_file_or_too_long_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="the script is a directory"):
        load("/proc")
    with pytest.raises(LimitExceeded, match="at most 10 bytes"):
        load(__file__, 10)
    assert load(__file__, 1 << 20).startswith(b'"""A script')
