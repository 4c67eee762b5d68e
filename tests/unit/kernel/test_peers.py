"""Who is at the other end, as Linux tells it of real processes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet.testing import StringTransport

from clove.errors import PermissionDenied
from clove.kernel.credentials import LocalPeer
from clove.kernel.peers import is_among_us, parent_of, peer_of


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as bound:
        bound.bind("")  # a name of Linux's choice
        bound.listen()
        yield bound


def connected_by_a_child(listener: socket.socket) -> tuple[socket.socket, int]:
    """A connection, and the child that made it and has ended; it waits to be reaped."""
    name = listener.getsockname()
    child = os.fork()
    if child == 0:
        socket.socket(socket.AF_UNIX).connect(name)
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return listener.accept()[0], child


def test_a_living_peer(listener: socket.socket) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(listener.getsockname())
        with contextlib.closing(listener.accept()[0]) as accepted:
            peer = peer_of(SimpleNamespace(socket=accepted))
            assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
            assert peer.is_there()
            peer.close()


def test_a_peer_with_a_pid_that_may_be_used_again(listener: socket.socket) -> None:
    accepted, child = connected_by_a_child(listener)
    with contextlib.closing(accepted):
        transport = SimpleNamespace(socket=accepted)
        peer = peer_of(transport)
        if peer.pidfd < 0:
            os.waitpid(child, 0)
            pytest.skip("Linux before 6.5 has no SO_PEERPIDFD")
        assert peer.is_there()
        os.waitpid(child, 0)
        assert not peer.is_there()
        peer.close()
        with contextlib.suppress(PermissionDenied):  # or, since Linux 6.16, one that is not there
            late = peer_of(transport)
            assert not late.is_there()
            late.close()


def test_what_has_no_credentials_is_a_stranger() -> None:
    with contextlib.closing(socket.socket(socket.AF_INET)) as internet:
        for transport in (StringTransport(), SimpleNamespace(socket=internet), None):
            with pytest.raises(PermissionDenied) as caught:
                peer_of(transport)
            assert caught.value.rule == "peer-credentials"


def test_parents() -> None:
    assert parent_of(os.getpid()) == os.getppid()
    assert parent_of(0) is None
    assert LocalPeer(1, 0, 0).is_there()


@pytest.mark.parametrize("kind", ["--user", "--pid"])
def test_other_namespaces_are_seen(kind: str) -> None:
    words = ["unshare", "--user", "--map-current-user", "--fork"]
    words += ["--pid", "--kill-child"] if kind == "--pid" else []
    try:
        program = subprocess.Popen(
            [*words, "sh", "-c", "echo; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    except FileNotFoundError:
        pytest.skip("no unshare(1)")
    assert program.stdin is not None
    assert program.stdout is not None
    with program:
        if not program.stdout.readline():
            pytest.skip("no user namespaces here")
        [child] = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        assert not is_among_us(int(child))
        program.stdin.write(b"\n")
        program.stdin.close()
    assert is_among_us(os.getpid())
    assert is_among_us(os.getppid())
