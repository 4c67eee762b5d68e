"""Agents that try to change the configuration of the kernel's next start.

Rows 4 and 19 of the attacks: the file lies in a directory that was granted for writing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.errors import InvalidRequest
from tests.integration.conftest import FORM, PATIENT
from tests.integration.exposed import ROOT, ROOTLESS, Host, host

CONFIG = "threads = 3\n"
TEXT = FORM + CONFIG + PATIENT
REFUSED = ("EBUSY", "EROFS", "EACCES", "EPERM", "EXDEV")


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def open_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A kernel whose configuration's modes let everybody change it."""
    with host(request.param, CONFIG) as here:
        os.chmod(here.kernel.directory, 0o777)
        os.chmod(configuration(here), 0o666)
        here._own(configuration(here))
        yield here


def configuration(here: Host) -> Path:
    return Path(here.kernel.directory, "config.toml")


def test_it_stays_as_it_is_in_a_directory_granted_for_writing(open_host: Host) -> None:
    path, directory = configuration(open_host), open_host.kernel.directory
    agent = open_host.spawn({"level": "unrestricted", "allowed_paths": [directory]})
    assert agent.ask("run", f"open('{directory}/new', 'w').close(); found = 1") == 1
    for code in (
        f"open('{path}', 'w')",
        f"open('{path}', 'a')",
        f"open('{path}', 'r+')",
        f"import os; os.truncate('{path}', 0)",
        f"import os; os.chmod('{path}', 0o777)",
        f"import os; os.unlink('{path}')",
        f"import os; os.rename('{path}', '{directory}/old')",
        f"import os; os.rename('{directory}/new', '{path}')",
        f"import os; os.link('{path}', '{directory}/hard')",
        f"import os; os.rename('{directory}', '{directory}x')",
        f"open('/proc/self/root{path}', 'w')",
    ):
        assert agent.ask("run", code) in REFUSED, code
    assert agent.ask("syscall", "write", str(path)) == "permission_denied"
    assert agent.ask("syscall", "read", str(path)) == f"yes:{TEXT}"
    assert path.read_text() == TEXT


def test_a_wildcard_that_it_matches_gives_it_for_reading_alone(open_host: Host) -> None:
    path, directory = configuration(open_host), open_host.kernel.directory
    Path(directory, "other.toml").touch()
    os.chmod(f"{directory}/other.toml", 0o666)
    agent = open_host.spawn({"allowed_paths": [f"{directory}/*.toml"]})
    assert agent.ask("direct", "write", f"{directory}/other.toml") == "yes:"
    assert agent.ask("direct", "write", str(path)) in REFUSED
    assert agent.ask("direct", "read", str(path)) == f"yes:{TEXT}"


def test_it_is_not_granted_for_writing_by_name(open_host: Host) -> None:
    with pytest.raises(InvalidRequest, match="stays read-only"):
        open_host.spawn({"allowed_write_paths": [str(configuration(open_host))]})
