"""Agents that bring a sandbox of their own, told that they are contained: docs/run.md has the recipe.

A model on loopback has them run a command, which no sandbox but Clove's is around then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.cli_shell import Shell
from tests.integration.coding_model import coding_model
from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS, host

CONFIG = '[egress.hosts]\n"model.test" = "127.0.0.1"\n'
RAN = "ran as 1000"


@dataclass
class Coding:
    """Somebody who calls `clove run --profile coding`, and a model.

    @ivar port: the model's.
    """

    shell: Shell
    port: int

    @property
    def made(self) -> Path:
        return self.shell.place / "made.txt"

    def run(self, name: str, *words: str) -> str:
        """What a program from npm prints; it is skipped where it is not installed."""
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"no {name} in PATH (npm install --global)")
        self.made.unlink(missing_ok=True)
        prefix = Path(path).parents[1]
        granted = [] if prefix.is_relative_to("/usr") else ["--dir=.", f"--dir={prefix}:ro"]
        rules = [f"--allow-domain={host}:{self.port}" for host in ("model.test", "127.0.0.1")]
        key = ["-e", "ANTHROPIC_API_KEY=key", "-e", "OPENAI_API_KEY=key"]
        key += ["-e", f"ANTHROPIC_BASE_URL=http://model.test:{self.port}"]
        begin = ["run", "--profile", "coding", *granted, *rules, *key]
        result = self.shell(*begin, "--", path, *words)
        return result.stdout + result.stderr

    def codex(self, *words: str) -> str:
        """A task for Codex."""
        facts = f'name="x",base_url="http://model.test:{self.port}/v1",env_key="OPENAI_API_KEY"'
        provider = f'model_providers.x={{{facts},wire_api="responses"}}'
        options = ["--skip-git-repo-check", "-c", provider, "-c", "model_provider=x", "-m", "any"]
        return self.run("codex", "exec", *options, *words, "go")


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def coding(request: pytest.FixtureRequest) -> Iterator[Coding]:
    with host(request.param, CONFIG) as here, coding_model() as port:
        place = here.files / "project"
        place.mkdir()
        if request.param == ROOTLESS and os.getuid() == 0:
            os.chown(place, ORDINARY, ORDINARY)
        yield Coding(Shell(place, here.kernel.socket), port)


def test_claude_code_runs_what_the_model_says(coding: Coding) -> None:
    said = coding.run("claude", "--dangerously-skip-permissions", "-p", "go")
    assert RAN in said
    assert coding.made.read_text() == "made\n"


def test_codex_runs_what_the_model_says_without_a_sandbox_of_its_own(coding: Coding) -> None:
    assert RAN in coding.codex("--dangerously-bypass-approvals-and-sandbox")
    assert coding.made.read_text() == "made\n"


def test_codex_that_is_not_told_fails_at_its_own_sandbox(coding: Coding) -> None:
    said = coding.codex("--sandbox", "workspace-write")
    assert RAN not in said
    assert not coding.made.exists()


def test_a_sandbox_within_is_refused(coding: Coding) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("no bubblewrap")
    words = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"]
    result = coding.shell("run", "--profile", "coding", "--", *words)
    assert result.returncode != 0
    assert "namespace" in result.stderr
