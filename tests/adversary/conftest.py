"""What the attacks are tried on: whole kernels, and sandboxes made by the launcher alone."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from clove.kernel.unix_port import refuse_descriptors
from tests.adversary.arena import WAYS, Arena, Kernels, emptied
from tests.adversary.isolated import RunIsolated, run

LINUX = {"refusing": (), "older": ("env", "CLOVE_TEST_NO_PASSRIGHTS=1")}
"""A Linux whose sockets refuse descriptors (SO_PASSRIGHTS, 6.16), and one that has not got that."""


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


@pytest.fixture(scope="module")
def linuxes() -> Iterator[dict[str, Kernels]]:
    """Kernels on each L{LINUX}, which end with the module: its agents do not end by themselves."""
    with contextlib.ExitStack() as stack:
        yield {linux: Kernels(stack, prefix) for linux, prefix in LINUX.items()}


@pytest.fixture(
    scope="module",
    params=[(linux, way) for linux in LINUX for way in WAYS],
    ids=lambda param: "-".join((param[0], *param[1])),
)
def arena_on_linux(
    request: pytest.FixtureRequest, linuxes: dict[str, Kernels]
) -> tuple[str, Arena]:
    """Which Linux, and a kernel on it, in each way that its agents can start."""
    linux, way = request.param
    with socket.socket(socket.AF_UNIX) as probe:
        if linux == "refusing" and not refuse_descriptors(probe):
            pytest.skip("needs Linux 6.16")
    return linux, linuxes[linux].arena(*way)


@pytest.fixture(scope="module")
def stuck_port() -> Iterator[int]:
    """Where connections are neither made nor refused: the backlog is full and not accepted from."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = server.getsockname()[1]
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield int(port)
