"""Agents to whom files of an owner belong, and what would outlive their sandbox (docs/owners.md).

Rows 2, 3, 6, 9 and 20 of the attacks: set-id files of root's, other owners' files, and other
files in place of those that were judged.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest

from tests.adversary.arena import Arena
from tests.integration.exposed import ROOT, Agent

SET_ID = "0o4755"
CALLS = {
    "chmod": f"os.chmod(path, {SET_ID})",
    "fchmod": f"os.fchmod(os.open(path, os.O_RDWR), {SET_ID})",
    "fchmodat": f"os.chmod(name, {SET_ID}, dir_fd=os.open(top, os.O_RDONLY))",
    "fchmodat2": f"raw(452, os.open(top, os.O_RDONLY), name.encode(), {SET_ID}, 0)",
    "chmod of a link": f"os.symlink(path, top + '/l'); os.chmod(top + '/l', {SET_ID})",
    "open": f"os.open(top + '/n1', os.O_CREAT | os.O_WRONLY, {SET_ID})",
    "set-group-id": "os.chmod(path, 0o2755)",
    "openat": f"os.open('n2', os.O_CREAT | os.O_WRONLY, {SET_ID}, dir_fd=os.open(top, os.O_RDONLY))",
    "creat": f"raw(85, (top + '/n3').encode(), {SET_ID})",
    "O_TMPFILE": f"os.open(top, os.O_TMPFILE | os.O_WRONLY, {SET_ID})",
    "mknod": f"os.mknod(top + '/n4', stat.S_IFREG | {SET_ID})",
    "openat2": (
        "how = struct.pack('3Q', os.O_CREAT | os.O_WRONLY, 0o4755, 0);"
        "raw(437, -100, (top + '/n5').encode(), how, 24)"
    ),
    "capabilities": (
        "os.setxattr(path, 'security.capability', struct.pack('<5I', 0x2000001, 1 << 7, 0, 0, 0))"
    ),
    "a device": "os.mknod(top + '/n6', stat.S_IFCHR | 0o666, os.makedev(1, 1))",
    "another owner": "os.chown(path, 0, -1)",
    "another group": "os.chown(path, -1, 65534)",
}
OTHERWISE = {"openat2": "ENOSYS", "another owner": "EINVAL", "another group": "EINVAL"}
"""How what is not refused with EPERM fails: there is no such call, and no such user inside."""
PRELUDE = """
import ctypes, errno, mmap, os, stat, struct
libc = ctypes.CDLL(None, use_errno=True)
def raw(number, *words):
    if libc.syscall(number, *words) < 0:
        raise OSError(ctypes.get_errno(), "")
top, name = {top!r}, "tool"
path = f"{{top}}/{{name}}"
"""


@pytest.fixture
def owned(here: Arena) -> Path:
    """A directory that belongs to its owner alone, with a program."""
    here.files.chmod(0o755)
    top = here.files / "owned"
    top.mkdir(mode=0o755)
    (top / "tool").write_text("#!/bin/sh\n")
    (top / "tool").chmod(0o755)
    for path in (top, top / "tool"):
        here._own(path)
    return top


def attempt(agent: Agent, top: Path, code: str) -> object:
    """The errno's name with which code fails inside, or what it leaves in `found`."""
    return agent.ask("run", PRELUDE.format(top=str(top)) + code)


def set_id_files(top: Path) -> list[str]:
    return [
        str(path)
        for path in [top, *top.rglob("*")]
        if not path.is_symlink() and path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    ]


def test_no_set_id_file_of_an_owner_can_be_made(here: Arena, owned: Path) -> None:
    agent = here.spawn({"level": "unrestricted", "allowed_paths": [str(owned)]})
    assert attempt(agent, owned, "os.chmod(path, 0o700); os.chmod(path, 0o755)") is None
    if here.who == ROOT:
        assert agent.isolation["owners"]["mapped"] == {str(owned): 0}
    said = {name: attempt(agent, owned, code) for name, code in CALLS.items()}
    if os.uname().machine != "x86_64":
        said["creat"] = "EPERM"
    assert said == {**dict.fromkeys(CALLS, "EPERM"), **OTHERWISE}
    assert set_id_files(owned) == []


def test_set_group_id_of_a_directory_comes_from_above_alone(here: Arena, owned: Path) -> None:
    agent = here.spawn({"level": "unrestricted", "allowed_paths": [str(owned)]})
    attempt(agent, owned, "os.mkdir(top + '/d', 0o6755)")
    attempt(agent, owned, "os.setxattr(path, 'system.posix_acl_access', b'\\x02\\0\\0\\0')")
    assert set_id_files(owned) == []


@pytest.mark.parametrize("kind", ["set-id", "capabilities"])
def test_a_set_id_file_that_is_there_cannot_be_changed(here: Arena, owned: Path, kind: str) -> None:
    if here.who != ROOT:
        pytest.skip("an ordinary user's agents are the user, set-id files of his included")
    deep = owned / "deep" / "er"
    deep.mkdir(parents=True)
    tool = deep / "su"
    tool.write_bytes(b"A" * 5000)
    tool.chmod(0o4755 if kind == "set-id" else 0o755)
    if kind == "capabilities":
        facts = struct.pack("<5I", 0x2000001, 1 << 7, 0, 0, 0)  # cap_setuid=ep
        os.setxattr(tool, "security.capability", facts)
    agent = here.spawn({"level": "unrestricted", "allowed_paths": [str(owned)]})
    inside = f"path = {str(tool)!r}; deep = {str(deep)!r};"
    change = "m = mmap.mmap(os.open(path, os.O_RDWR), 5000); m[:4] = b'EVIL'; m.flush()"
    assert attempt(agent, owned, inside + change) == "EROFS"
    for code, said in (
        ("os.truncate(path, 0)", "EROFS"),
        ("os.unlink(path)", "EBUSY"),
        ("os.rename(path, deep + '/other')", "EBUSY"),
        ("os.rename(deep, top + '/deep/other')", "EBUSY"),
        ("os.rename(top + '/deep', top + '/other')", "EBUSY"),
        ("os.link(path, top + '/other')", "EXDEV"),
        ("os.chmod(path, 0o777)", "EROFS"),
    ):
        assert attempt(agent, owned, inside + code) == said, code
    assert tool.read_bytes() == b"A" * 5000
    beside = f"open({str(deep)!r} + '/beside', 'w').write('x')"
    assert attempt(agent, owned, beside) is None


def test_no_agent_has_an_owner_mapped_for_another(here: Arena, owned: Path) -> None:
    if here.who != ROOT:
        pytest.skip("only a root kernel maps owners")
    secret = owned / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    child = (
        "import json, sys\nfrom clove import CloveClient\n"
        "with CloveClient() as k:\n"
        "    permissions = {'allowed_read_paths': [sys.argv[2]]}\n"
        "    said = k.spawn('child', sys.argv[3], permissions=permissions)['isolation']\n"
        "    print(json.dumps([said.get('owners'), said.get('exposed')]))\n"
    )
    asked = {"permissions": {"level": "unrestricted"}, "sandboxed": False}
    assert here.run(child, str(owned), here.script, **asked) == [
        None,
        {"read": [str(owned)], "write": [], "unguarded": []},
    ]
    own = str(Path(here.script))
    within = {"permissions": {"level": "unrestricted", "allowed_paths": [str(owned), own]}}
    text = child.replace("sys.argv[3]", repr(own)).replace("'child'", "'other'")
    assert here.run(text, str(owned), here.script, **within) == [None, None]


def test_no_other_owner_comes_by_an_exchange_of_directories(here: Arena, owned: Path) -> None:
    if here.who != ROOT:
        pytest.skip("only a root kernel maps owners")
    roots, granted = owned / "roots", owned / "granted"
    for directory in (roots, granted):
        directory.mkdir(mode=0o700)
        (directory / "key").write_text("root's")
    os.chown(owned, 4242, 4242)
    os.chown(granted, 4242, 4242)
    agent = here.spawn({"level": "unrestricted", "allowed_paths": [str(owned)]})
    exchange = (
        "os.rename(top + '/granted', top + '/x'); os.rename(top + '/roots', top + '/granted')"
    )
    assert attempt(agent, owned, exchange) is None
    other = here.spawn({"level": "unrestricted", "allowed_paths": [str(granted)]})
    [reason] = other.isolation["owners"]["kept"].values()
    assert f"{owned} belongs to user 4242" in reason
    assert attempt(other, owned, "open(top + '/granted/key')") == "EACCES"


def test_what_lies_beside_a_mapped_directory_is_as_far_as_ever(here: Arena, owned: Path) -> None:
    beside = here.files / "beside"
    beside.write_text("x")
    beside.chmod(0o600)
    agent = here.spawn({"level": "unrestricted", "allowed_paths": [str(owned)]})
    for code in (
        f"os.open('../{beside.name}', os.O_RDONLY, dir_fd=os.open(top, os.O_RDONLY))",
        f"os.symlink({str(beside)!r}, top + '/l'); open(top + '/l')",
    ):
        assert attempt(agent, owned, code) == "ENOENT"


def test_what_the_kernel_makes_for_an_agent_has_no_set_id_bits_either(
    here: Arena, owned: Path
) -> None:
    agent = here.spawn({"level": "unrestricted", "allowed_paths": [str(owned)]})
    for name in ("written", "copied"):
        assert agent.ask("syscall", "write", str(owned / name)) == "yes:"
    assert attempt(agent, owned, "os.chmod(top + '/written', 0o755)") is None
    assert set_id_files(owned) == []
    assert {path.lstat().st_uid for path in owned.iterdir()} == {owned.lstat().st_uid}
