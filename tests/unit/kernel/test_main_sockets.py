"""Which sockets are the kernel's own."""

from __future__ import annotations

import gc
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from clove.errors import CloveError, InvalidRequest, Unavailable
from clove.kernel.config import Config
from clove.kernel.listening import stopped
from clove.kernel.main_sockets import MainSockets
from clove.socket_paths import CONTRACT

STRANGER = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a foreign socket")


def sockets(asked: str | None = None, **keys: Any) -> MainSockets:
    return MainSockets(Config(**keys), asked, {})


def plant(path: str, uid: int | None = STRANGER) -> None:
    """A stale socket of somebody's."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    if uid is not None:
        os.chown(path, uid, uid)


async def test_two_sockets_are_listened_on_and_removed(short_dir: str) -> None:
    first, second = f"{short_dir}/a", f"{short_dir}/b"
    plant(second, None)
    both = sockets(socket=first, second_socket=second)
    both.claim()
    ports = await both.listen(reactor, Factory(), 0o600)
    try:
        assert both.paths == [first, second]
        assert both.missing == ""
        for path in both.paths:
            facts = os.lstat(path)
            assert stat.S_ISSOCK(facts.st_mode)
            assert stat.S_IMODE(facts.st_mode) == 0o600
    finally:
        for port in ports:
            await stopped(port)
    assert os.listdir(short_dir) == []


@pytest.mark.parametrize("keys", [{}, {"socket": "/x", "second_socket": "/y"}])
def test_a_path_given_by_hand_is_the_only_one(short_dir: str, keys: dict[str, str]) -> None:
    given = sockets(f"{short_dir}/s", **keys)
    given.claim()
    assert given.paths == [f"{short_dir}/s"]


def test_a_path_in_the_configuration_is_the_only_one_unless_it_names_two(short_dir: str) -> None:
    one = sockets(socket=f"{short_dir}/s")
    one.claim()
    assert one.paths == [f"{short_dir}/s"]
    same = sockets(socket=f"{short_dir}/s", second_socket=f"{short_dir}/s")
    same.claim()
    assert same.paths == [f"{short_dir}/s"]


def test_by_default_it_is_the_users_own_path_and_the_contracts(short_dir: str) -> None:
    usual = sockets()
    assert usual._second == CONTRACT
    assert sockets(second_socket="")._second == ""
    usual._usual, usual._second = [f"{short_dir}/state/clove/clove.sock"], f"{short_dir}/c"
    usual.claim()
    assert usual.paths == [f"{short_dir}/state/clove/clove.sock", f"{short_dir}/c"]
    assert os.stat(f"{short_dir}/state/clove").st_mode & 0o022 == 0


def test_a_directory_that_others_may_write_is_passed_over(short_dir: str) -> None:
    os.mkdir(f"{short_dir}/open")
    os.chmod(f"{short_dir}/open", 0o777)
    Path(short_dir, "link").symlink_to("/nowhere")
    usual = sockets(second_socket="")
    usual._usual = [f"{short_dir}/{name}/clove.sock" for name in ("open", "link", "own")]
    usual.claim()
    assert usual.paths == [f"{short_dir}/own/clove.sock"]


def test_a_user_without_a_private_directory_has_the_contracts_path_or_none(short_dir: str) -> None:
    usual = sockets(second_socket=f"{short_dir}/c")
    usual._usual = []
    usual.claim()
    assert usual.paths == [f"{short_dir}/c"]
    nothing = sockets(second_socket="")
    nothing._usual = []
    with pytest.raises(Unavailable, match="no place"):
        nothing.claim()


@needs_root
def test_a_second_socket_of_somebody_elses_is_told_and_left(short_dir: str) -> None:
    first, second = f"{short_dir}/a", f"{short_dir}/b"
    plant(second)
    both = sockets(socket=first, second_socket=second)
    both.claim()
    assert both.paths == [first]
    assert f"{second} is there and belongs to user id 54321" in both.missing
    assert f"rm {second}" in both.missing
    assert os.lstat(second).st_uid == STRANGER


@needs_root
@pytest.mark.parametrize("keys", [{"second_socket_required": True}, {"socket": ""}])
def test_where_it_must_be_there_the_kernel_does_not_start(
    short_dir: str, keys: dict[str, Any]
) -> None:
    plant(f"{short_dir}/b")
    both = sockets(**{"socket": f"{short_dir}/a", "second_socket": f"{short_dir}/b", **keys})
    both._usual = []
    with pytest.raises(Unavailable, match="belongs to user id 54321"):
        both.claim()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Twisted's: it does not bind, nor close
async def test_a_name_that_is_taken_between_claim_and_bind(short_dir: str) -> None:
    first, second = f"{short_dir}/a", f"{short_dir}/b"
    both = sockets(socket=first, second_socket=second)
    both.claim()
    plant(second, None)
    ports = await both.listen(reactor, Factory(), 0o600)
    for port in ports:
        await stopped(port)
    assert both.paths == [first]
    assert "cannot listen" in both.missing
    required = sockets(socket=first, second_socket=f"{short_dir}/c", second_socket_required=True)
    required.claim()
    plant(f"{short_dir}/c", None)
    with pytest.raises(Unavailable):
        await required.listen(reactor, Factory(), 0o600)
    gc.collect()
    assert not os.path.lexists(first)


@pytest.mark.parametrize("keys", [{"socket": "x" * 120}, {"second_socket": "x" * 120}])
def test_a_path_that_cannot_be_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        sockets(**keys)
    with pytest.raises(CloveError):
        sockets("")


def handed(path: str, mode: int = 0o600) -> socket.socket:
    """A socket on which systemd listens for the kernel."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    os.chmod(path, mode)
    made.listen()
    made.setblocking(False)
    return made


def given(config: Config, *listeners: socket.socket) -> MainSockets:
    return MainSockets(config, None, {}, [("clove-kernel", each) for each in listeners])


async def test_a_socket_that_was_handed_over_is_served_and_left_to_systemd(short_dir: str) -> None:
    path = f"{short_dir}/s"
    ours = handed(path)
    systemds = ours.dup()
    early = socket.socket(socket.AF_UNIX)
    early.connect(path)  # before the kernel has it
    chosen = given(Config(socket=path), ours)
    chosen.claim()
    accepted: Deferred[None] = Deferred()
    factory = Factory.forProtocol(lambda: Telling(accepted))
    [port] = await chosen.listen(reactor, factory, 0o600)  # type: ignore[arg-type]
    await accepted
    await stopped(port)
    assert stat.S_ISSOCK(os.lstat(path).st_mode)
    later = socket.socket(socket.AF_UNIX)
    later.connect(path)  # waits for the next kernel
    for each in (early, later, systemds):
        each.close()


class Telling(Protocol):
    """Tells that it was made."""

    def __init__(self, accepted: Deferred[None]) -> None:
        self.accepted = accepted

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.accepted.callback(None)


async def test_the_second_socket_may_be_handed_over_alone(short_dir: str) -> None:
    first, second = f"{short_dir}/a", f"{short_dir}/b"
    ours = handed(second)
    both = given(Config(socket=first, second_socket=second), ours)
    both.claim()
    for port in await both.listen(reactor, Factory(), 0o600):
        await stopped(port)
    assert os.listdir(short_dir) == ["b"]


@pytest.mark.parametrize("mode", [0o666, 0o640])
async def test_a_socket_that_others_reach_is_not_served(short_dir: str, mode: int) -> None:
    path = f"{short_dir}/s"
    chosen = given(Config(socket=path), handed(path, mode))
    chosen.claim()
    with pytest.raises(Unavailable, match=f"mode {mode:04o}.*must have 0600") as raised:
        await chosen.listen(reactor, Factory(), 0o600)
    assert "SocketMode=0600" in raised.value.hint
    chosen._handed.popitem()[1].close()


async def test_a_socket_without_its_file_is_not_served(short_dir: str) -> None:
    path = f"{short_dir}/s"
    chosen = given(Config(socket=path), handed(path))
    chosen.claim()
    os.unlink(path)
    with pytest.raises(Unavailable, match="cannot be reached at"):
        await chosen.listen(reactor, Factory(), 0o600)
    chosen._handed.popitem()[1].close()


def test_a_socket_at_another_path_or_address_is_refused(short_dir: str) -> None:
    config = Config(socket=f"{short_dir}/s")
    other = handed(f"{short_dir}/other")
    with socket.socket() as tcp, other:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        with pytest.raises(InvalidRequest, match=r"is at .*/other, and this kernel's is .*/s"):
            given(config, other)
        with pytest.raises(InvalidRequest, match="an address that is no path"):
            given(config, tcp)


def test_the_same_path_twice_is_refused(short_dir: str) -> None:
    path = f"{short_dir}/s"
    ours = handed(path)
    with ours, ours.dup() as again, pytest.raises(InvalidRequest, match="'clove-kernel'"):
        given(Config(socket=path), ours, again)
