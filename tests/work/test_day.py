"""Everything that people who try a sandbox do first, in one script, root and rootless (tests/work/day.sh)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.cli_user import User
from tests.integration.exposed import ROOT, ROOTLESS, host

DAY = Path(__file__).with_name("day.sh")
NEEDED = {"git": "git", "node": "nodejs", "npm": "npm", "chromium": "chromium"}
"""Programs of the host, and the packages of Debian that have them."""
INDEX = ("PIP_", "UV_", "NPM_CONFIG_", "npm_config_", "NODE_EXTRA_CA_CERTS", "SSL_CERT_")
"""How variables begin by which this machine finds its index."""


class Worker(User):
    """A user with this machine's way to its package index, and `clove` in PATH."""

    def prepare(self) -> None:
        settings = {name: v for name, v in os.environ.items() if name.startswith(INDEX)}
        self._environ |= settings
        if "PIP_CONFIG_FILE" not in settings:
            del self._environ["PIP_CONFIG_FILE"]
        programs = self.home / "bin"
        programs.mkdir(exist_ok=True)
        clove = programs / "clove"
        clove.write_text(f'#!/bin/sh\nexec {self.python} -P -c "{self.MAIN}" "$@"\n')
        clove.chmod(0o755)
        self._environ["PATH"] = f"{programs}:/usr/local/bin:/usr/bin:/bin"
        for name in (".config/pip/pip.conf", ".npmrc"):
            self._copy(Path.home() / name, self.home / name)

    def _copy(self, source: Path, target: Path) -> None:
        """A file of settings, without what is secret in it."""
        if not source.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = source.read_text().splitlines(keepends=True)
        target.write_text(
            "".join(line for line in lines if "_auth" not in line and "@" not in line)
        )

    def work(self) -> subprocess.CompletedProcess[str]:
        with self.launch(["bash", str(DAY)]) as process:
            out, err = process.communicate(timeout=900)
        return subprocess.CompletedProcess("day.sh", process.returncode, out, err)


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_a_day_of_work_needs_no_grant_beside_the_profiles(who: str) -> None:
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: apt-get install {' '.join(missing)}")
    if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], check=False).returncode:
        pytest.skip("not installed: apt-get install python3-venv")
    with host(who) as running:
        worker = Worker(running)
        worker.prepare()
        result = worker.work()
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        assert result.stdout.endswith("== done\n")
