"""What the attacks are tried on: whole kernels, and sandboxes made by the launcher alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.adversary.arena import WAYS, Arena, Kernels, emptied
from tests.adversary.isolated import RunIsolated, run


@pytest.fixture(scope="session")
def run_isolated() -> RunIsolated:
    """The function L{run}, which takes whose kernel it is and what the driver shall do."""
    return run


@pytest.fixture(scope="session")
def kernels() -> Iterator[Kernels]:
    """The kernels of this session."""
    with contextlib.ExitStack() as stack:
        yield Kernels(stack)


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def arena(request: pytest.FixtureRequest, kernels: Kernels) -> Arena:
    """A real kernel, in each way that its agents can start."""
    return kernels.arena(*request.param)


@pytest.fixture
def here(arena: Arena) -> Iterator[Arena]:
    """The same with an empty directory of files; its agents end with the test."""
    with emptied(arena):
        yield arena
