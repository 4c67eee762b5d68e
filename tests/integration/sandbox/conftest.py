"""The launcher, and where its programs run: in namespaces and on the host."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted

from clove.sandbox.launcher import Launcher
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import SandboxSpec
from clove.threads.threads import Threads
from tests.integration.sandbox.launching import (
    OUTSIDE_UID,
    PATH,
    Heard,
    Spec,
    inside,
    reactor,
)


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(reactor, 2)
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture
def launcher(threads: Threads) -> Launcher:
    return Launcher(reactor, threads)


@pytest.fixture
def workspace() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as path:
        if os.getuid() == 0:
            os.chown(path, OUTSIDE_UID, OUTSIDE_UID)
        yield path


@pytest.fixture(params=["sandbox", "host"])
def place(request: pytest.FixtureRequest, workspace: str) -> Spec:
    """Makes the spec of a shell script, inside or outside."""

    def spec(script: str, **fields: Any) -> SandboxSpec:
        fields = {"argv": ("sh", "-c", script), "env": PATH, **fields}
        if request.param == "host":
            return SandboxSpec(**{"cwd": workspace, **fields})
        return inside(workspace, **fields)

    return spec


@pytest_twisted.async_yield_fixture()  # type: ignore[untyped-decorator]
async def sleeper(launcher: Launcher, place: Spec) -> AsyncIterator[Sandbox]:
    """A sandbox to run commands in."""
    sandbox = await launcher.launch(place("exec sleep 1000"), Heard())
    yield sandbox
    sandbox.kill()
    await sandbox.done
