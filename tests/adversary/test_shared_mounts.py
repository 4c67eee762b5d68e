"""On most hosts mounts are shared between namespaces; those of a sandbox go neither way."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adversary.arena import WAYS, Arena, Kernels
from tests.integration.exposed import ROOT

SHARED = ("unshare", "--mount", "sh", "-c", 'mount --make-rshared / && exec "$@"', "sh")
"""As systemd leaves them, in a namespace whose mounts end with the kernel."""


@pytest.fixture(scope="module")
def sharing() -> Iterator[Kernels]:
    """Kernels to which mounts are shared."""
    if os.getuid() != 0:
        pytest.skip("only root can share mounts")
    with contextlib.ExitStack() as stack:
        yield Kernels(stack, SHARED)


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def arena(request: pytest.FixtureRequest, sharing: Kernels) -> Arena:
    """In each way that their agents can start."""
    return sharing.arena(*request.param)


def mounts(arena: Arena) -> set[str]:
    """The mounts that the kernel sees."""
    return set(Path(f"/proc/{arena.kernel.pid}/mountinfo").read_text().splitlines())


def test_what_is_mounted_inside_does_not_show_on_the_host(here: Arena) -> None:
    before = mounts(here)
    places = {"allowed_paths": [f"{here.files}/**"], "blocked_paths": [here.file("hidden")]}
    agent = here.spawn({"level": "unrestricted", **places})
    assert agent.ask("direct", "read", f"{here.files}/hidden") != "yes:host"
    covered = here.spawn({"level": "unrestricted", "allowed_read_paths": [here.kernel.directory]})
    assert covered.ask("run", f"import os\nfound = os.listdir('{here.kernel.state_dir}')") == []
    assert mounts(here) == before


def test_what_is_mounted_on_the_host_later_does_not_show_inside(here: Arena) -> None:
    if here.who != ROOT:
        pytest.skip("an ordinary user's host mounts nothing for it")
    place = here.directory("disk")
    agent = here.spawn({"level": "unrestricted", "allowed_read_paths": [f"{here.files}/**"]})
    enter = ["nsenter", "--target", str(here.kernel.pid), "--mount"]
    subprocess.run([*enter, "mount", "-t", "tmpfs", "disk", place], check=True)
    try:
        subprocess.run([*enter, "touch", f"{place}/later"], check=True)
        assert agent.ask("run", f"import os\nfound = os.listdir('{place}')") == []
    finally:
        subprocess.run([*enter, "umount", place], check=True)
