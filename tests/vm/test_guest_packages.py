"""What is installed in the guest, without a network and from the locks alone: row 28 of the attacks."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

from tests.vm.conftest import PROGRAMS, output

SOURCE = Path(__file__).parents[2]
LIBRARY = next(PROGRAMS.parent.glob("lib/python3.*/site-packages"))
BUNDLED = {"pip"}
"""What a virtual environment brings along, which no lock has."""
RUN_AT_EVERY_START = {"clove-source.pth", "distutils-precedence.pth"}
"""The path to this source, and setuptools' own."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Version of each package that a lock has; the locks agree (`tests/unit/test_packaging.py`)."""
    texts = [(SOURCE / name).read_text() for name in ("requirements.lock", "requirements-dev.lock")]
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ \\]+)", "".join(texts), re.MULTILINE)
    return {normal(name): version for name, version in found}


def test_every_package_is_the_locked_one() -> None:
    installed = {
        normal(one.metadata["Name"]): one.version for one in distributions(path=[str(LIBRARY)])
    }
    assert len(installed) > 20
    have = locked()
    assert {name: have.get(name) for name in installed.keys() - BUNDLED} == {
        name: version for name, version in installed.items() if name not in BUNDLED
    }


def test_no_package_has_code_that_runs_at_every_start() -> None:
    assert {path.name for path in LIBRARY.glob("*.pth")} <= RUN_AT_EVERY_START


def test_what_agents_run_from_is_not_theirs_to_write() -> None:
    """Root's alone: of the environment and of this source."""
    for place in (PROGRAMS.parent, SOURCE):
        assert (
            output(
                "find",
                str(place),
                "(",
                "!",
                "-user",
                "root",
                "-o",
                "-perm",
                "/022",
                ")",
                "!",
                "-type",
                "l",
            )
            == ""
        )
