"""The file of a relay's store has no room, is damaged, or cannot be written; and a relay ends in the midst of it.

What was answered is kept, what could not be is told with what to do, and nobody is let in by it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.relay.relay_process import TWISTD, RelayProcess, relay_process
from tests.waiting import until

MANY = "[rest]\nport = 0\n[limits.rest]\nrate = 100000\nburst = 100000\n"


class SmallDisk:
    """A file system of its own on a relay's state directory, in a mount namespace of its own.

    @ivar prefix: runs a command there.
    """

    def __init__(self, directory: Path, size: str) -> None:
        self._state = directory / "state"
        self._state.mkdir(mode=0o700)
        new, enter = ["unshare", "-m"], ["nsenter", "-m"]
        if os.geteuid():
            new.append("-r")
            enter += ["-U", "--preserve-credentials"]
        self._holder = subprocess.Popen(
            [
                *new,
                "sh",
                "-c",
                'mount -t tmpfs -o "$1" tmpfs "$2" && echo up && exec cat',
                "sh",
                f"mode=700,size={size}",
                str(self._state),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.prefix = (*enter, "-t", str(self._holder.pid))
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"up\n":
            self.end()
            pytest.skip("this user may not mount a file system in a namespace of its own")

    def run(self, *words: str) -> None:
        subprocess.run([*self.prefix, *words], check=True, timeout=30)

    def remount(self, options: str) -> None:
        words = ("mount", "-t", "tmpfs", "-o", f"remount,{options}", "tmpfs", str(self._state))
        self.run(*words)  # with all said, mount(8) repeats no uid of another user namespace

    def end(self) -> None:
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait(30)


@contextlib.contextmanager
def small_disk(directory: Path, size: str = "400k") -> Iterator[SmallDisk]:
    disk = SmallDisk(directory, size)
    try:
        yield disk
    finally:
        disk.end()


def make(relay: RelayProcess, number: int) -> tuple[int, Any]:
    return relay.ask("POST", "/api/v1/tokens/admin", {"name": f"t{number}" + "x" * 100})


def test_a_disk_without_room_loses_nothing_and_lets_those_in_that_are_known(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk, relay_process(tmp_path, MANY, disk.prefix) as relay:
        made: list[Any] = []
        revoked = make(relay, 0)[1]
        assert relay.ask("DELETE", f"/api/v1/tokens/{revoked['id']}")[0] == 200
        while True:
            status, said = make(relay, len(made) + 1)
            if status != 201:
                break
            made.append(said)
        assert made
        assert (status, said["code"]) == (503, "unavailable")
        assert "log" in said["hint"]
        until(lambda: "full" in relay.log, "the log says why")
        for _ in range(3):  # and again
            assert make(relay, 0)[0] == 503
        for token in (made[0], made[-1]):
            assert relay.ask("GET", "/api/v1/tokens", token=token["token"])[0] == 200
        assert relay.ask("GET", "/api/v1/tokens", token=revoked["token"])[0] == 401
        disk.remount("size=64m")
        status, more = make(relay, 0)
        assert status == 201
        assert relay.stop() in (0, -signal.SIGTERM)
        assert "Traceback" not in relay.log
        relay.start()
        for token in (*made[:3], *made[-3:], more):
            assert relay.ask("GET", "/api/v1/status", token=token["token"])[0] == 200
        assert relay.ask("GET", "/api/v1/tokens", token=revoked["token"])[0] == 401
        listed = {each["id"] for each in relay.ask("GET", "/api/v1/tokens")[1]["tokens"]}
        assert listed >= {each["id"] for each in (*made, more)}


def refused(relay: RelayProcess, prefix: tuple[str, ...] = ()) -> str:
    """What a relay says that does not start again."""
    words = [*prefix, str(TWISTD), "-n", "--pidfile=", "clove-relay"]
    words += ["--config", str(relay.directory / "config.toml")]
    words += ["--state-dir", str(relay.directory / "state")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "clove_admin_" not in ended.stdout + ended.stderr
    [line] = [
        line for line in (ended.stdout + ended.stderr).splitlines() if "clove-relay: " in line
    ]
    return line


def test_a_disk_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk, relay_process(tmp_path, MANY, disk.prefix) as relay:
        relay.stop()
        disk.remount("ro")
        assert "Read-only file system" in refused(relay, disk.prefix)


@pytest.mark.parametrize("begin", [0, 4096], ids=["the head", "the tables"])
def test_a_damaged_file_lets_no_one_in_and_says_what_to_do(begin: int, tmp_path: Path) -> None:
    """Above all no new admin token is made, as for a store that is empty."""
    with relay_process(tmp_path) as relay:
        relay.stop()
        file = tmp_path / "state" / "relay.sqlite"
        whole = file.read_bytes()
        assert len(whole) > 8192
        file.write_bytes(whole[:begin] + bytes(len(whole) - begin))
        with file.open("r+b") as damaged:
            damaged.seek(begin)
            damaged.write(b"\xa5" * (len(whole) - begin))
        line = refused(relay)
        assert "relay.sqlite" in line
        assert "backup" in line
        file.write_bytes(whole)
        relay.start()
        assert relay.ask("GET", "/api/v1/status")[0] == 200


def test_a_relay_that_is_ended_in_the_midst_of_requests_keeps_what_it_has_answered(
    tmp_path: Path,
) -> None:
    with relay_process(tmp_path, MANY) as relay:
        answered: list[str] = []
        revoked: list[str] = []

        def work() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                while True:
                    status, said = make(relay, 0)
                    if status != 201:
                        return
                    answered.append(said["token"])
                    if len(answered) % 3 == 0:
                        status, _ = relay.ask("DELETE", f"/api/v1/tokens/{said['id']}")
                        if status == 200:
                            revoked.append(said["token"])

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(revoked) > 5, "requests are answered")
        assert relay.stop() in (0, -signal.SIGTERM)
        for thread in threads:
            thread.join(30)
        assert "Traceback" not in relay.log
        relay.start()
        for token in revoked:
            assert relay.ask("GET", "/api/v1/status", token=token)[0] in (401, 429)
        relay.stop()
        relay.start()  # those that were refused have locked this address out
        unsure = set(answered) - set(revoked)
        valid = [relay.ask("GET", "/api/v1/status", token=token)[0] == 200 for token in unsure]
        assert valid.count(False) <= 8  # those whose revocation was under way
