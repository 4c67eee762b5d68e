"""Agents that bring a sandbox of their own, told that they are contained: docs/run.md has the recipe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli_shell import Shell
from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS, host

VERSIONS = {"claude": "(Claude Code)", "codex": "codex-cli"}
TOLD = {
    "claude": ["--dangerously-skip-permissions", "--help"],
    "codex": ["--dangerously-bypass-approvals-and-sandbox", "--help"],
}


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def shell(request: pytest.FixtureRequest) -> Iterator[Shell]:
    with host(request.param) as here:
        place = here.files / "project"
        place.mkdir()
        if request.param == ROOTLESS and os.getuid() == 0:
            os.chown(place, ORDINARY, ORDINARY)
        yield Shell(place, here.kernel.socket)


def installed(name: str) -> tuple[list[str], str]:
    """The grant that a program from npm needs, and its path."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} in PATH (npm install --global)")
    prefix = Path(path).parents[1]
    return [] if prefix.is_relative_to("/usr") else ["--dir", f"{prefix}:ro"], path


@pytest.mark.parametrize("name", sorted(VERSIONS))
def test_it_starts_under_the_profile_for_coding(shell: Shell, name: str) -> None:
    granted, path = installed(name)
    assert VERSIONS[name] in shell.out("--profile", "coding", *granted, "--", path, "--version")
    said = shell.out("--profile", "coding", *granted, "--", path, *TOLD[name])
    assert TOLD[name][0] in said


def test_a_sandbox_within_is_refused(shell: Shell) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("no bubblewrap")
    words = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"]
    result = shell("run", "--profile", "coding", "--", *words)
    assert result.returncode != 0
    assert "namespace" in result.stderr
