"""Places for the files of tests; a plugin of its own, for suites that need nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

__all__ = ["short_dir"]


@pytest.fixture
def short_dir() -> Iterator[str]:
    """A private directory whose path leaves room for a Unix socket's name."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as path:
        yield path
