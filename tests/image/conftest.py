"""The image, built for real, and containers of it, for `make test-image` (tools/image/run makes their namespaces)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from clove.client.fleet import FleetClient
from tests.image.engine import FILES, IMAGE, Podman, build_image
from tests.waiting import until

collect_ignore_glob = [] if "CLOVE_TEST_IMAGE" in os.environ else ["test_*.py"]

HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/run", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--no-healthcheck"),
)
SANDBOX = ("--security-opt", "unmask=ALL", "--security-opt", f"seccomp={FILES}/seccomp.json")
"""What a kernel in a container needs beyond the defaults."""


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """One with the base and the image."""
    work = Path(os.environ["CLOVE_IMAGE_WORK"])
    engine = Podman(work)
    build_image(work, "--layers")
    yield engine
    engine("rm", "--all", "--force", "--time", "1")
    for path in (work / "store", work / "run"):
        shutil.rmtree(path, ignore_errors=True)


class Running:
    """A container."""

    def __init__(self, podman: Podman, name: str) -> None:
        self._podman = podman
        self.name = name

    def __call__(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """Run a program in it."""
        return self._podman("exec", "-i", self.name, *words, stdin=stdin, check=check)

    @property
    def log(self) -> str:
        return self._podman("logs", self.name, check=False)

    def is_healthy(self) -> bool:
        """By the program that its health check is."""
        return not self("/opt/clove/container/health", check=False).strip()

    def wait(self) -> Running:
        """Until it answers."""
        try:
            until(self.is_healthy, f"{self.name} answers")
        except AssertionError:
            pytest.fail(f"{self.name} does not answer:\n{self.log}")
        return self


@contextlib.contextmanager
def running(podman: Podman, name: str, options: Sequence[str], *words: str) -> Iterator[Running]:
    """A container with the options that all have."""
    podman("run", "--detach", "--name", name, *HARDENED, *options, IMAGE, *words)
    try:
        yield Running(podman, name)
    finally:
        podman("rm", "--force", "--volumes", "--time", "10", name)


@pytest.fixture(scope="module")
def relay(podman: Podman) -> Iterator[FleetClient]:
    """A relay in a container, and its administrator."""
    options = ["--env", "CLOVE_PLAIN=yes"]
    with running(podman, "relay", options, "relay") as started:
        started.wait()
        path = "/var/lib/clove/admin-token"
        until(
            lambda: "yes" in started("sh", "-c", f"test -s {path} && echo yes", check=False), path
        )
        yield FleetClient("http://127.0.0.1:8766", started("cat", path).strip())


def doctor(podman: Podman, *options: str) -> dict[str, Any]:
    """What C{clove doctor} finds in a container with these options."""
    text = podman(
        "run", "--rm", *HARDENED, *options, IMAGE, "clove", "doctor", "--json", check=False
    )
    line = next(line for line in text.splitlines() if line.startswith("{"))
    report: dict[str, Any] = json.loads(line)
    return report
