"""Claiming the socket and the state directory."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory

from clove.errors import Unavailable
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.descriptors import within_descriptors
from clove.kernel.listening import Lock, claim_socket, listen


def test_a_free_path_is_free(short_dir: str) -> None:
    claim_socket(f"{short_dir}/s")


def test_a_live_socket_is_never_taken_over(short_dir: str) -> None:
    path = f"{short_dir}/s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with pytest.raises(Unavailable, match="listens on"):
            claim_socket(path)
        assert os.path.exists(path)


def test_a_stale_socket_is_removed(short_dir: str) -> None:
    path = f"{short_dir}/s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    claim_socket(path)
    assert not os.path.lexists(path)


@pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
def test_what_is_not_a_socket_is_left_alone(short_dir: str, kind: str) -> None:
    path = Path(short_dir, "s")
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    else:
        os.mkfifo(path)
    with pytest.raises(Unavailable, match="not a socket"):
        claim_socket(str(path))
    assert os.path.lexists(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a foreign socket")
def test_a_foreign_stale_socket_is_refused(short_dir: str) -> None:
    path = f"{short_dir}/s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(Unavailable, match="12345"):
        claim_socket(path)


async def test_a_socket_has_its_mode_from_the_start_and_the_umask_is_restored(
    short_dir: str,
) -> None:
    before = os.umask(0o022)
    os.umask(before)
    port = await listen(reactor, Factory(), f"{short_dir}/s", 0o600, exposed=True)
    try:
        assert os.stat(f"{short_dir}/s").st_mode & 0o777 == 0o600
        after = os.umask(before)
        assert after == before
    finally:
        await maybeDeferred(port.stopListening)


async def test_an_agents_socket_does_not_change_the_umask_under_the_threads(
    short_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[int] = []
    monkeypatch.setattr(os, "umask", masks.append)
    port = await listen(reactor, Factory(), f"{short_dir}/s", 0o666)
    try:
        assert masks == []
        assert os.stat(f"{short_dir}/s").st_mode & 0o777 == 0o666
    finally:
        await maybeDeferred(port.stopListening)


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(1 << 20, 4096), (1024, 768), (128, 64), (10, 1)]
)
def test_connections_leave_descriptors_for_everything_else(
    descriptors: int, connections: int
) -> None:
    limits = within_descriptors(ConnectionLimits(), descriptors)
    assert limits.max_connections == connections


def test_one_kernel_holds_the_lock(short_dir: str) -> None:
    first, second = Lock(f"{short_dir}/lock"), Lock(f"{short_dir}/lock")
    first.take()
    with pytest.raises(Unavailable, match="another kernel"):
        second.take()
    first.release()
    second.take()
    second.release()
    second.release()
