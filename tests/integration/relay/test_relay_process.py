"""`twistd clove-relay`: its first token, its directory, its end, and what it says when it cannot start."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.relay.first_token import is_read_by_a_person
from tests.integration.relay.relay_process import TWISTD, RelayProcess, relay_process


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[RelayProcess]:
    with relay_process(tmp_path) as running:
        yield running


def test_the_first_start_shows_a_token_once(relay: RelayProcess) -> None:
    token = relay.admin
    assert relay.ask("GET", "/api/v1/status")[0] == 200
    assert relay.stop() in (0, -signal.SIGTERM)
    relay.start()
    assert relay.admin == token  # it is shown once still
    assert relay.ask("GET", "/api/v1/status")[0] == 200


def test_a_later_start_makes_another_token_if_asked(relay: RelayProcess) -> None:
    first = relay.admin
    relay.stop()
    relay.shown.unlink()
    relay.start("--admin-token")
    assert relay.admin != first
    for token in (first, relay.admin):
        assert relay.ask("GET", "/api/v1/status", token=token)[0] == 200


def test_a_token_that_no_person_would_see_goes_into_a_file(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "[rest]\nport = 0\n")
    relay.shown = Path(os.devnull)
    relay.start()
    try:
        kept = tmp_path / "state" / "admin-token"
        token = kept.read_text().strip()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert relay.ask("GET", "/api/v1/status", token=token)[0] == 200
        assert str(kept) in relay.log
        assert token not in relay.log
    finally:
        relay.stop()


def test_a_start_that_fails_after_it_listens_exits_with_an_error(tmp_path: Path) -> None:
    """The first token has no place: what would be its file is a directory."""
    state = tmp_path / "state"
    (state / "admin-token").mkdir(parents=True)
    state.chmod(0o700)
    relay = RelayProcess(tmp_path, "[rest]\nport = 0\n")
    relay.shown = Path(os.devnull)
    with pytest.raises(AssertionError):
        relay.start()
    assert relay.process is not None
    assert relay.process.wait(30) == 1
    [line] = [line for line in relay.log.splitlines() if "cannot start" in line]
    assert str(state / "admin-token") in line
    assert "Traceback" not in relay.log
    (state / "admin-token").rmdir()
    relay.start()  # no token was made that is lost now
    try:
        token = (state / "admin-token").read_text().strip()
        assert relay.ask("GET", "/api/v1/status", token=token)[0] == 200
        listed = relay.ask("GET", "/api/v1/tokens", token=token)[1]
        assert len(listed["tokens"]) == 1
    finally:
        relay.stop()


def test_the_journal_is_read_by_others(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as journal:
        facts = os.fstat(journal.fileno())
        there = {"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
        assert not is_read_by_a_person(journal.fileno(), there)
        assert is_read_by_a_person(journal.fileno(), {"JOURNAL_STREAM": "1:1"})


def test_its_directory_is_its_own(relay: RelayProcess) -> None:
    state = relay.directory / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path in state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_what_was_acknowledged_outlives_a_kill(relay: RelayProcess) -> None:
    made = relay.ask("POST", "/api/v1/machines", {"machine_id": "m1"})[1]
    assert relay.ask("DELETE", f"/api/v1/tokens/{made['token_id']}")[0] == 200
    relay.stop(signal.SIGKILL)
    relay.start()
    assert relay.ask("GET", "/api/v1/machines/m1")[0] == 200
    assert relay.ask("GET", "/api/v1/machines", token=made["token"])[0] == 401


def test_a_second_relay_does_not_use_the_same_directory(relay: RelayProcess) -> None:
    assert "another relay uses" in refused(relay.directory, "[rest]\nport = 0\n")
    assert relay.ask("GET", "/api/v1/status")[0] == 200


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[rest]\nlisten = '0.0.0.0'\n", "tls.certificate"),
        ("[rest]\nlisten = 'localhost'\n", "rest.listen is an address"),
        ("[rest]\nlisten = '192.0.2.1'\nplain = true\n", "cannot listen on 192.0.2.1"),
        ("[rest]\nprot = 1\n", "prot"),
        ("[tls]\ncertificate = 'x'\n", "go together"),
        ("[tls]\ncertificate = '/none'\nkey = '/none'\n", "cannot read /none"),
        ("[limits.rest]\nrate = 0\n", "limits.rest.rate"),
        ("state_dir = 1\n", "state_dir"),
        ("nonsense", "not TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(config: str, said: str, tmp_path: Path) -> None:
    [line] = [line for line in refused(tmp_path, config).splitlines() if "clove-relay: " in line]
    assert said in line


def test_a_directory_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to(tmp_path)
    assert "not a directory of the relay's own user" in refused(tmp_path, "[rest]\nport = 0\n")


def refused(directory: Path, config: str) -> str:
    """What a relay says that does not start."""
    path = directory / "refused.toml"
    path.write_text(config)
    words = [str(TWISTD), "-n", "--pidfile=", "clove-relay", "--config", str(path)]
    words += ["--state-dir", str(directory / "state")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
