"""`clove relay down` and `up` where the state directory is another user's, or does not say who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from clove.cli.fleet.first_token import keep_first_token
from clove.cli.main import main

OTHER = 65534
needs_root = pytest.mark.skipif("os.geteuid() != 0", reason="only root gives files away")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A relay's state directory."""
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that is no relay."""
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


def down(state: Path, said: object) -> str:
    """What C{clove relay down} says while the lock's file says this."""
    with (state / "relay.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps(said))
        lock.flush()
        result = CliRunner().invoke(main, ["relay", "down", "--state-dir", str(state)])
    assert result.exit_code == 1, result.output
    return result.output


def relay(pid: object) -> dict[str, object]:
    return {"pid": pid, "rest": "http://127.0.0.1:1", "hub": "ws://127.0.0.1:1"}


@needs_root
def test_no_other_users_process_is_ended_by_what_a_directory_says(
    state: Path, victim: subprocess.Popen[bytes]
) -> None:
    os.chown(state, OTHER, -1)
    assert "which is another user's (rule: relay-uid)" in down(state, relay(victim.pid))
    assert victim.poll() is None


@pytest.mark.parametrize("said", [relay("1"), relay(0), relay(-1), relay(None), [], {"pid": 1}, 7])
def test_a_lock_that_does_not_say_who_holds_it_ends_nothing(state: Path, said: object) -> None:
    assert "does not say who holds it" in down(state, said)


@needs_root
def test_another_users_first_token_becomes_no_context(
    state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    secret = tmp_path / "secret"
    secret.write_text("of root alone")
    secret.chmod(0o600)
    (state / "admin-token").symlink_to(secret)
    os.chown(state, OTHER, -1)
    kept = keep_first_token(str(state), "http://127.0.0.1:1", "ws://127.0.0.1:1")
    assert (kept.place, "another user's" in kept.text) == (str(state / "admin-token"), True)
    assert secret.exists()
    assert not (tmp_path / ".clove").exists()
