"""Clients look who listens before they say anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from clove import AsyncClient, CloveClient
from clove.client import peer
from clove.client.deferred import DeferredClient
from clove.errors import ConnectionLost, PermissionDenied

STRANGER = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
WORDS = "is user id 54321, neither you nor root: nothing was sent"
SERVE = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
server.listen()
print("up", flush=True)
said = b""
for _ in range(int(sys.argv[2])):
    connection, _ = server.accept()
    while piece := connection.recv(65536):
        said += piece
print(len(said), flush=True)
"""


@contextlib.contextmanager
def foreign(path: str, connections: int) -> Iterator[subprocess.Popen[str]]:
    """Somebody else listens; at the end it says how many bytes it got."""
    os.chmod(os.path.dirname(path), 0o777)
    child = subprocess.Popen(
        ["/usr/bin/python3", "-I", "-c", SERVE, path, str(connections)],
        stdout=subprocess.PIPE,
        text=True,
        user=STRANGER,
        group=STRANGER,
        extra_groups=[],
        cwd="/",
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def path(short_dir: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("CLOVE_TRUST_UID", raising=False)
    return f"{short_dir}/clove.sock"


@needs_root
def test_the_blocking_client_says_nothing_to_a_stranger(path: str) -> None:
    with foreign(path, 2) as server:
        client = CloveClient(path)
        for call in (client.connect, lambda: client.think("secret")):
            with pytest.raises(PermissionDenied, match=WORDS) as caught:
                call()
            assert caught.value.rule == "server-uid"
            assert "CLOVE_TRUST_UID=54321" in caught.value.hint
        assert server.communicate(timeout=20)[0] == "0\n"


@needs_root
async def test_the_deferred_client_says_nothing_to_a_stranger(path: str) -> None:
    with foreign(path, 1) as server:
        client = DeferredClient(reactor, path)
        with pytest.raises(PermissionDenied, match=WORDS):
            await client.think("secret")
        await client.close()
        for _ in range(3):  # turns for the connection to be closed in
            await deferLater(reactor, 0.01)
        assert server.communicate(timeout=20)[0] == "0\n"


@needs_root
def test_the_asyncio_client_says_nothing_to_a_stranger(path: str) -> None:
    async def ask() -> None:
        client = AsyncClient(path)
        with pytest.raises(PermissionDenied, match=WORDS):
            await client.think("secret")
        await client.close()

    with foreign(path, 1) as server:
        asyncio.run(ask())
        assert server.communicate(timeout=20)[0] == "0\n"


@needs_root
def test_the_command_says_nothing_to_a_stranger(path: str) -> None:
    with foreign(path, 1) as server:
        clove = [str(Path(sys.executable).with_name("clove")), "--socket", path, "ps"]
        ran = subprocess.run(clove, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert WORDS in ran.stderr
        assert server.communicate(timeout=20)[0] == "0\n"


@needs_root
def test_whom_one_trusts_by_name_one_speaks_to(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign(path, 3), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        monkeypatch.setenv("CLOVE_TRUST_UID", str(STRANGER))
        peer.check_server(connection, path)
        for other in (str(STRANGER + 1), "", "54321x", "nobody"):
            monkeypatch.setenv("CLOVE_TRUST_UID", other)
            with pytest.raises(PermissionDenied):
                peer.check_server(connection, path)
        with pytest.raises(PermissionDenied) as caught:
            peer.check_server(connection, path)
        assert "must be a number" in caught.value.hint


def test_ones_own_user_is_trusted(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as connection:
        server.bind(path)
        server.listen()
        connection.connect(path)
        peer.check_server(connection, path)


@needs_root
def test_root_is_trusted_by_others(path: str) -> None:
    asked = (
        "import os, socket, sys\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from clove.client.peer import check_server\n"
        "os.setgroups([]), os.setgid(54321), os.setuid(54321)\n"
        "connection = socket.socket(socket.AF_UNIX)\n"
        "connection.connect(sys.argv[1])\n"
        "check_server(connection, sys.argv[1])\n"
    )
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o666)
        os.chmod(os.path.dirname(path), 0o755)
        server.listen()
        subprocess.run([sys.executable, "-c", asked, path, os.getcwd()], check=True)


MOUNT = "touch there; mount --bind clove.sock there; "
LOOK = (
    "import os, socket, sys\n"
    "from clove.client.peer import check_server, is_mounted\n"
    "from clove.errors import CloveError\n"
    "connection = socket.socket(socket.AF_UNIX)\n"
    "connection.connect(sys.argv[1])\n"
    "try:\n"
    "    check_server(connection, sys.argv[1])\n"
    "except CloveError as error:\n"
    "    print(error.message)\n"
    "else:\n"
    "    print('trusted')\n"
)


def inside(path: str, setup: str, name: str, *options: str) -> str:
    """What a client finds in a mount namespace of its own."""
    words = ["unshare", "--mount", *options, "sh", "-c"]
    command = f'{setup} exec "$@"'
    words += [command, "sh", sys.executable, "-c", LOOK, name]
    ran = subprocess.run(
        words,
        cwd=os.path.dirname(path),
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        pytest.skip(f"no namespaces here: {ran.stderr[-200:]}")
    return ran.stdout.strip()


@needs_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare")
def test_a_socket_that_was_mounted_is_trusted_and_its_name_beside_it_is_not(path: str) -> None:
    with foreign(path, 4):
        assert inside(path, MOUNT, "there") == "trusted"
        assert WORDS in inside(path, MOUNT, "clove.sock")


@needs_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare")
def test_what_is_mounted_in_another_namespace_is_not_trusted(path: str) -> None:
    """Whoever rules that one chose it: a link in a directory of his leads there by /proc."""
    directory = os.path.dirname(path)
    with foreign(path, 1):
        elsewhere = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f"{MOUNT} echo up; exec cat"],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert elsewhere.stdin is not None
            assert elsewhere.stdout is not None
            if elsewhere.stdout.readline() != b"up\n":
                pytest.skip("no namespaces here")
            os.symlink(f"/proc/{elsewhere.pid}/root{directory}", f"{directory}/away")
            os.makedirs(f"{directory}/sub")
            beyond = f"{directory}/away/sub/../there"
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(beyond)
                for named in (beyond, f"/proc/{elsewhere.pid}/root{directory}/there"):
                    with pytest.raises(PermissionDenied, match=WORDS):
                        peer.check_server(connection, named)
        finally:
            elsewhere.communicate()


@needs_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare")
def test_an_id_that_is_not_known_here_is_nobodys_not_even_ones_own(path: str) -> None:
    """Without a mapping all users look alike, this one included."""
    with foreign(path, 2):
        found = inside(path, "", "clove.sock", "--user")
        assert "user id 65534" in found
    assert peer._is_known(65534), "where all ids are mapped it is a user"


@needs_root
def test_a_socket_of_which_the_zygote_has_left_word_is_trusted_and_no_other(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with foreign(path, 1), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        monkeypatch.setattr(peer, "mounted", f"{path}/")
        with pytest.raises(PermissionDenied, match=WORDS):
            peer.check_server(connection, path)
        monkeypatch.setattr(peer, "mounted", path)
        peer.check_server(connection, path)


LEFT: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_text(""),
    "link": lambda path: path.symlink_to("/dev/log"),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("kind", LEFT)
def test_what_is_no_socket_is_not_mounted(path: str, kind: str) -> None:
    LEFT[kind](Path(path))
    assert not peer.is_mounted(path)
    assert not peer.is_mounted("/proc/self/mountinfo")


def test_the_usual_paths_are_tried_in_order(short_dir: str) -> None:
    first, stale, live = (f"{short_dir}/{name}" for name in ("first", "stale", "live"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(stale)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(live)
        server.listen()
        client = CloveClient(first, timeout=0.2)
        client._connection._paths = (first, stale, live)
        with contextlib.suppress(Exception):
            client.connect()
        assert client.socket_path == live
        client._connection._paths = (first, stale)
        with pytest.raises(ConnectionLost, match=f"{first} or {stale}") as caught:
            client.connect()
        assert caught.value.hint == "start one: clove up; or twistd -n clove-kernel"
