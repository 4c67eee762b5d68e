"""`clove relay up`, `status` and `down`: a relay of this user in the background, and its first token."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import CLOVE, Result


class User:
    """Has a home of its own, and no systemd."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / ".local/state/clove-relay"
        self.config = home / "relay.toml"
        self.config.write_text("[rest]\nport = 0\n[hub]\nport = 0\n")
        self.environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def __call__(self, *words: str) -> Result:
        return subprocess.run(
            [CLOVE, *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            env=self.environ,
        )

    def relay(self, *words: str) -> Result:
        command, *options = words
        return self("relay", command, "--state-dir", str(self.state), *options)

    def up(self, *words: str) -> Result:
        return self.relay("up", "--no-systemd", "--config", str(self.config), *words)


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    found = User(tmp_path)
    yield found
    found.relay("down")


def test_a_relay_is_started_once_and_its_token_becomes_the_context(user: User) -> None:
    done = user.up()
    assert done.returncode == 0, done.stderr
    assert re.match(
        r"the relay runs: pid \d+, http://127.0.0.1:\d+, ws://127.0.0.1:\d+\n", done.stdout
    )
    assert "its admin token is in your context `local`" in done.stderr
    config = user.home / ".clove/config.yaml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    [token] = re.findall(r"clove_admin_\w+", config.read_text())
    assert not (user.state / "admin-token").exists()
    assert token not in (user.state / "relay.log").read_text() + done.stdout + done.stderr
    assert user("status").returncode == 0
    again = json.loads(user.up("--json").stdout)
    assert (again["started"], again["token"]) == (False, "")
    assert f"pid {again['pid']}" in user.relay("status").stdout
    assert user.relay("down").stdout == f"the relay (pid {again['pid']}) has ended\n"
    assert user.relay("status").returncode == 1
    assert json.loads(user.relay("down", "--json").stdout) == {"ended": False}


def test_where_there_are_contexts_the_token_stays_in_its_file(user: User) -> None:
    config = user.home / ".clove/config.yaml"
    config.parent.mkdir(mode=0o700)
    config.write_text("contexts:\n  prod:\n    relay: https://relay.example.org:8766\n")
    config.chmod(0o600)
    before = config.read_text()
    done = user.up()
    assert done.returncode == 0, done.stderr
    path = user.state / "admin-token"
    assert f"its admin token is in {path} (there are contexts already)" in " ".join(
        done.stderr.split()
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert config.read_text() == before


def test_what_goes_wrong_is_told_from_its_log(user: User) -> None:
    user.config.write_text("nonsense = 1\n")
    done = user.up()
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    user.config.write_text('[rest]\nlisten = "192.0.2.1"\nplain = true\n')
    done = user.up()
    assert done.returncode == 1
    assert "cannot listen on 192.0.2.1 port 8766" in done.stderr
    assert str(user.state / "relay.log") in done.stderr
    assert os.listdir(user.home / ".local/state") == ["clove-relay"]
