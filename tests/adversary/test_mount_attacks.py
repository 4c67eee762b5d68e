"""Paths of the host that were granted, and agents that try to get more through them.

Rows 2, 3, 4, 6, 8 and 19 of the attacks, of agents of whole kernels.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.errors import InvalidRequest, IsolationUnavailable
from clove.sandbox.inside import syscalls
from tests.adversary.arena import Arena
from tests.integration.exposed import ROOT, Agent

BOTH = ["allowed_read_paths", "allowed_paths"]


def attempt(agent: Agent, code: str) -> object:
    """The errno's name with which code fails inside, or what it leaves in `found`."""
    return agent.ask("run", f"import os, socket\n{code}")


@pytest.mark.parametrize("field", BOTH)
def test_the_kernels_own_places_are_covered(here: Arena, field: str) -> None:
    directory = here.kernel.directory
    agent = here.spawn({"level": "unrestricted", field: [directory]})
    assert agent.ask("direct", "read", here.script).startswith("yes:")
    assert attempt(agent, f"found = os.listdir('{here.kernel.state_dir}')") == []
    connect = f"socket.socket(socket.AF_UNIX).connect('{here.kernel.socket}')"
    assert attempt(agent, connect) in ("EACCES", "ECONNREFUSED")
    for name in ("agents", "run", "kernel.lock"):
        path = f"{here.kernel.state_dir}/{name}"
        assert attempt(agent, f"os.stat('{path}')") == "ENOENT"


def test_a_home_is_not_granted_for_writing_where_credentials_could_be_planted(here: Arena) -> None:
    with pytest.raises(IsolationUnavailable) as caught:
        here.spawn({"allowed_paths": ["~/**"]})
    assert f"{here.kernel.directory}/.ssh is blocked but not there" in str(caught.value)


def test_the_kernels_own_places_are_not_granted(here: Arena) -> None:
    for path in (here.kernel.state_dir, f"{here.kernel.state_dir}/agents/**"):
        with pytest.raises(InvalidRequest):
            here.spawn({"allowed_read_paths": [path]})


def test_sockets_of_the_host_are_out_of_reach(here: Arena) -> None:
    here.file("a")
    path = f"{here.files}/service"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(path)
        os.chmod(path, 0o777)
        service.listen()
        agent = here.spawn({"allowed_paths": [str(here.files)]})
        connect = f"socket.socket(socket.AF_UNIX).connect('{path}')"
        assert attempt(agent, connect) in ("EACCES", "ECONNREFUSED")
        with pytest.raises(InvalidRequest):
            here.spawn({"allowed_paths": [path]})


def test_a_cover_cannot_be_taken_off(here: Arena) -> None:
    secret, key = here.file("deep/er/secret/x"), here.file("deep/er/key")
    agent = here.spawn(
        {
            "allowed_paths": [str(here.files)],
            "blocked_paths": [f"{here.files}/deep/er/secret", f"{here.files}/deep/er/key"],
        }
    )
    base = f"{here.files}/deep"
    for code in (
        f"os.rename('{base}/er/secret', '{base}/er/other')",
        f"os.rename('{base}/er/key', '{base}/er/other')",
        f"os.rename('{base}/er', '{base}/other')",
        f"os.rename('{base}', '{here.files}/other')",
        f"os.unlink('{base}/er/key')",
        f"os.rmdir('{base}/er/secret')",
        f"os.chmod('{base}/er/key', 0o666)",
        f"os.link('{base}/er/key', '{base}/er/hard')",
        f"open('{base}/er/key')",
        f"open('{base}/er/secret/new', 'w')",
    ):
        assert attempt(agent, code) in ("EBUSY", "EROFS", "EACCES", "EPERM", "EXDEV"), code
    assert attempt(agent, f"found = os.listdir('{base}/er/secret')") == []
    assert Path(secret).read_text() == Path(key).read_text() == "host"
    assert attempt(agent, f"open('{base}/er/new', 'w').close(); found = 1") == 1


def test_other_names_of_a_covered_file_are_covered(here: Arena) -> None:
    key = here.file("sub/key")
    agent = here.spawn(
        {"allowed_read_paths": [f"{here.files}/**"], "blocked_paths": [f"{here.files}/**/key"]}
    )
    for path in (
        key,
        f"{here.files}/./sub//key",
        f"{here.files}/sub/../sub/key",
        f"/proc/self/root{key}",
        f"/proc/self/cwd/..{key}",
    ):
        assert agent.ask("direct", "read", path) == "EACCES", path
        assert agent.ask("syscall", "read", path) == "permission_denied", path


def test_links_in_a_granted_directory_lead_to_the_sandboxs_own(here: Arena) -> None:
    outside = Path(here.kernel.directory, "outside")
    outside.write_text("host")
    here.directory("granted")
    os.symlink(outside, here.files / "granted" / "link")
    os.symlink("/etc", here.files / "granted" / "etc")
    agent = here.spawn({"allowed_paths": [f"{here.files}/granted"]})
    assert agent.ask("direct", "read", f"{here.files}/granted/link") == "ENOENT"
    # The syscall judges where the link would lead before it looks.
    assert agent.ask("syscall", "read", f"{here.files}/granted/link") in (
        "permission_denied",
        "not_found",
    )
    assert agent.ask("direct", "read", f"{here.files}/granted/etc/shadow") == "ENOENT"
    assert "agent" in agent.ask("direct", "read", f"{here.files}/granted/etc/passwd")


@pytest.fixture
def swapping(here: Arena) -> Iterator[str]:
    """A path that is a directory and a link to a secret one in turn, as fast as can be."""
    here.file("path/inside")
    here.file("secret/key")
    path, spare = f"{here.files}/path", f"{here.files}/spare"
    os.symlink("secret", spare)
    stop = threading.Event()

    def swap() -> None:
        exchange = 2  # RENAME_EXCHANGE (renameat2(2))
        at = syscalls.AT_FDCWD
        while not stop.is_set():
            syscalls.call(316, at, path.encode(), at, spare.encode(), exchange)

    thread = threading.Thread(target=swap)
    thread.start()
    yield path
    stop.set()
    thread.join()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of renameat2 is another one")
def test_a_path_that_is_exchanged_for_a_link_shows_nothing_else(here: Arena, swapping: str) -> None:
    outcomes = set()
    for _ in range(12):
        try:
            agent = here.spawn({"allowed_read_paths": [swapping]}, either=True)
        except (InvalidRequest, IsolationUnavailable) as error:
            outcomes.add(type(error).__name__)
        else:
            assert attempt(agent, f"found = os.listdir('{swapping}')") == ["inside"]
            outcomes.add("started")
            here.client.kill(agent.id)
    assert outcomes


def test_a_host_that_changes_its_files_meanwhile_only_makes_the_spawn_fail(here: Arena) -> None:
    """Covers are looked for and then mounted; what has gone by then is no way in."""
    for number in range(40):
        here.file(f"many/{number}.key")
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(40):
                Path(here.files, f"many/{number}.key").unlink(missing_ok=True)
                Path(here.files, f"many/{number}.key").touch()

    thread = threading.Thread(target=churn)
    thread.start()
    asked = {"allowed_read_paths": [f"{here.files}/**"], "blocked_paths": ["/**/*.key"]}
    try:
        for _ in range(5):
            with contextlib.suppress(IsolationUnavailable):
                here.client.kill(here.spawn(asked, either=True).id)
    finally:
        stop.set()
        thread.join()


def test_more_than_can_be_covered_refuses_the_spawn(here: Arena) -> None:
    for number in range(300):
        here.file(f"many/{number}.key")
    with pytest.raises(IsolationUnavailable) as caught:
        here.spawn({"allowed_read_paths": [f"{here.files}/**"], "blocked_paths": ["/**/*.key"]})
    assert "exposed_mounts" in caught.value.hint


def test_devices_and_set_user_id_files_have_no_power(here: Arena) -> None:
    here.file("a")
    if here.who == ROOT:
        os.mknod(here.files / "null", 0o20666, os.makedev(1, 3))
        os.chmod(here.files / "null", 0o666)
    shutil.copy("/bin/id", here.files / "id")
    os.chmod(here.files / "id", 0o6755)
    agent = here.spawn({"allowed_paths": [str(here.files)]})
    if here.who == ROOT:
        assert agent.ask("direct", "read", f"{here.files}/null") == "EACCES"
    code = (
        "import subprocess\n"
        f"found = subprocess.run(['{here.files}/id', '-u'], capture_output=True).stdout.decode()"
    )
    assert attempt(agent, code) == "1000\n"


def test_procfs_mounted_in_a_granted_directory_is_covered(here: Arena) -> None:
    if here.who != ROOT:
        pytest.skip("only root can mount")
    here.file("a")
    place = here.directory("machine")
    syscalls.mount("proc", place, "proc", 0)
    try:
        agent = here.spawn({"allowed_read_paths": [f"{here.files}/**"]})
        assert attempt(agent, f"found = os.listdir('{place}')") == []
        with pytest.raises(InvalidRequest):
            here.spawn({"allowed_read_paths": [f"{place}/sys"]})
        here.client.kill(agent.id)
    finally:
        syscalls.umount2(place, 0)
