"""`clove deploy` against real machines, for `make test-deploy` (tools/far-root/run, which says what it needs)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployed.far_machine import FarMachine, far_machine
from tests.deployed.variants import make_variant
from tests.integration.fleet.fleet_processes import Fleet, tls_fleet

collect_ignore_glob = [] if "CLOVE_FAR_ROOT" in os.environ else ["test_*.py"]

CONFIG = """
[rest]
port = 0
[hub]
port = 0
listen = "10.203.0.1"
[limits.hub]
ping_seconds = 3.0
"""


@pytest.fixture(scope="session")
def far() -> Iterator[FarMachine]:
    """Debian with systemd, booted."""
    with far_machine("booted") as machine:
        yield machine


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A relay that the machine reaches, with a certificate of an authority of its own."""
    yield from _relay(tmp_path_factory)


@pytest.fixture
def own_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The same for one test, which may end it and start it again."""
    yield from _relay(tmp_path_factory)


def _relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("authority")
    with tls_fleet(directory, "127.0.0.1", "10.203.0.1", config=CONFIG) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def bundle() -> str:
    """Path of a bundle of this Clove."""
    return os.environ["CLOVE_FAR_BUNDLE"]


@pytest.fixture(scope="session")
def seeded(far: FarMachine, bundle: str) -> FarMachine:
    """The machine with the bundle's release put aside, for what is not about making one."""
    far.keep_release(bundle)
    return far


@pytest.fixture(scope="session")
def newer(bundle: str) -> str:
    """Another release of the same."""
    path = Path(os.environ["CLOVE_FAR_WORK"], "newer.tar.gz")
    return make_variant(bundle, path, "0.1.0-aaaaaaaa")


@pytest.fixture(scope="session")
def broken(bundle: str) -> str:
    """A release whose kernel does not start."""
    path = Path(os.environ["CLOVE_FAR_WORK"], "broken.tar.gz")
    return make_variant(bundle, path, "0.1.0-bbbbbbbb", broken=True)
