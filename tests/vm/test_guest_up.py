"""`clove up` and `clove down` of an ordinary user whose systemd is there: a real service, with cgroups."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.cli.kernel_process import KERNEL
from tests.vm.conftest import PATIENCE, PROGRAMS, ROOT, cgroup_of, until, users_own_unit

UNIT = KERNEL.unit
TESTER = users_own_unit().manager


class User:
    """The user tester, with a home and a systemd of its own."""

    def __init__(self, config: Path) -> None:
        self.config = config

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TESTER, *command],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            cwd="/tmp",
        )

    def clove(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self(str(PROGRAMS / "clove"), *words)

    def up(self) -> Any:
        """Start it; what it says."""
        words = ["up", "--json", "--timeout", str(PATIENCE), "--config", str(self.config)]
        done = self.clove(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def state(self) -> str:
        """Of the service."""
        return self("systemctl", "--user", "is-active", UNIT).stdout.strip()


@pytest.fixture
def user() -> Iterator[User]:
    config = Path("/tmp/up.toml")
    config.write_text(f"[limits.launch]\nlaunch_timeout = {PATIENCE}\n")  # the guest is slow
    found = User(config)
    yield found
    found.clove("down", "--force")
    config.unlink()


def test_it_is_a_service_with_cgroups_that_limits_are_held_by(user: User) -> None:
    said = user.up()
    assert (said["started"], said["systemd"]) == (True, True)
    assert said["socket"].startswith("/run/user/1000/")
    assert user.state() == "active"
    base = cgroup_of(said["pid"]).parent
    assert base.name == f"{UNIT}.service"
    assert "memory" in (base / "cgroup.subtree_control").read_text().split()
    done = user.clove("run", "--memory", "64M", "--", "cat", "/proc/self/cgroup")
    assert done.returncode == 0, done.stderr
    assert "exit 0" in user.clove("ps", "--all").stdout
    again = user.up()
    assert (again["started"], again["pid"]) == (False, said["pid"])
    done = user.clove("down")
    assert done.stdout == f"the kernel (pid {said['pid']}) has ended\n", done.stderr
    until(lambda: user.state() == "inactive", "the service is gone")
    until(lambda: not base.exists(), "its cgroup is gone")
    assert user.clove("ps").returncode == 1


def test_it_comes_back_when_it_is_killed_and_not_when_it_was_ended(user: User) -> None:
    first = user.up()["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: user.clove("ps").returncode == 0, "it answers again")
    second = user.up()
    assert (second["started"], second["pid"] == first) == (False, False)
    assert user.clove("down").returncode == 0
    until(lambda: user.state() == "inactive", "the service is gone")
    until(lambda: not list(ROOT.glob(f"user.slice/**/{UNIT}.service")), "its cgroup is removed")


def test_what_goes_wrong_is_told_from_the_journal(user: User) -> None:
    user.config.write_text("nonsense = 1\n")
    done = user.clove("up", "--timeout", str(PATIENCE), "--config", str(user.config))
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert f"journalctl --user -u {UNIT}" in done.stderr
    until(lambda: user.state() in ("inactive", "failed"), "it is not tried again")
