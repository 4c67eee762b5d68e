"""Files that were not given to a sandboxed agent, by every way round: rows 3, 4 and 6."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.arena import Arena, emptied

OTHER_WAYS = ["plain", "dots", "slashes", "missing", "prefix", "case", "link", "linked directory"]
OTHER_WAYS += ["chain of links", "link to proc", "root of proc", "cwd of proc", "root of a thread"]
OTHER_WAYS += ["root of init", "cwd of init", "descriptor", "NUL"]
BLOCKED_WAYS = ["blocked", "blocked by dots", "blocked by a link", "blocked by proc"]
BLOCKED_WAYS += ["blocked by cwd"]
OPERATIONS = ("read", "write", "append")


@pytest.fixture(scope="module")
def inside(arena: Arena) -> dict[str, Any]:
    """What every attempt came to; `host` is what the host's files are afterwards."""
    with emptied(arena) as here:
        for name in ("app/plain", "app/sub/x", "app/blocked", "app/.git/hooks/x.sample"):
            here.file(name)
        for name in ("appdata/secret", "data/secret"):
            here.file(name, "the secret")
        ours, theirs = here.files / "app", here.files / "appdata"
        found: dict[str, Any] = here.attempts(
            "path_attempts.py",
            {"ours": str(ours), "theirs": str(theirs)},
            permissions={
                "allowed_paths": [f"{ours}/**", "/workspace/**"],
                "blocked_paths": [f"{ours}/blocked", f"{ours}/.git/hooks"],
            },
        )
        found["host"] = {
            str(path.relative_to(here.files)): path.read_text()
            for path in [ours / "blocked", ours / ".git/hooks/x.sample", theirs / "secret"]
        }
        found["theirs"] = os.listdir(theirs)
        found["hooks"] = os.listdir(ours / ".git/hooks")
    return found


def test_what_was_not_given_is_not_there(inside: dict[str, Any]) -> None:
    for way, operation in itertools.product(OTHER_WAYS, OPERATIONS):
        syscall = inside[f"{way}: asked {operation}"]
        assert syscall in ("permission_denied", "not_found", "invalid_request"), way
        assert inside[f"{way}: direct {operation}"] in ("ENOENT", "EACCES", "ValueError"), way


def test_what_is_blocked_is_covered_by_every_name(inside: dict[str, Any]) -> None:
    for way, operation in itertools.product(BLOCKED_WAYS, OPERATIONS):
        assert inside[f"{way}: asked {operation}"] == "permission_denied", way
        assert inside[f"{way}: direct {operation}"] in ("EACCES", "EROFS"), way


def test_no_hard_link_is_made(inside: dict[str, Any]) -> None:
    assert inside["hard link to what is not shown"] == "ENOENT"
    assert inside["hard link to blocked"] in ("EXDEV", "EPERM", "EACCES")


def test_a_name_that_is_exchanged_while_it_is_judged_shows_nothing(inside: dict[str, Any]) -> None:
    seen, swapped = inside["exchanged"]
    assert swapped
    assert set(seen) <= {"ours", "permission_denied", "not_found"}


def test_hooks_are_not_planted(inside: dict[str, Any]) -> None:
    refusals = ("EROFS", "EACCES", "EBUSY", "permission_denied")
    for how in ("write", "mkdir", "link", "rename", "ask"):
        assert inside[f"hook by {how}"] in refusals, how
    assert inside["hooks moved away"] in refusals
    assert inside["repository moved away"] in refusals


def test_the_hosts_files_are_as_they_were(inside: dict[str, Any]) -> None:
    assert inside["host"] == {
        "app/blocked": "host",
        "app/.git/hooks/x.sample": "host",
        "appdata/secret": "the secret",
    }
    assert inside["theirs"] == ["secret"]
    assert inside["hooks"] == ["x.sample"]


def test_what_it_writes_at_home_is_its_own(inside: dict[str, Any]) -> None:
    """Row 4; that it has no effect outside is in test_rules_in_reach.py."""
    for name in (".bashrc", ".profile", "clove.toml", "sitecustomize.py", ".gitconfig", ".netrc"):
        assert inside[f"own {name}"] == "done", name


PLANT = """
import os, shutil, sys, time
victim, state = sys.argv[2:]
starts = int(open("starts").read()) if os.path.exists("starts") else 0
with open("starts", "w") as file:
    file.write(str(starts + 1))
if starts:
    time.sleep(300)
os.symlink(victim, "link")
os.symlink(os.path.dirname(victim), "directory")
os.symlink(victim, os.path.basename(sys.argv[0]))
os.makedirs("deep/er")
os.symlink("/", "deep/er/root")
os.symlink(state, "deep/state")
os.mkfifo("fifo")
os.chmod("deep/er", 0)
home = os.getcwd()
for _ in range(1500):
    os.mkdir("down")
    os.chdir("down")
os.chdir(home)
for path in ("/tmp/clove.sock", "/app", sys.argv[0]):
    try:
        os.unlink(path)
    except OSError:
        pass
sys.exit(1)
"""


def test_what_an_agent_plants_in_its_directories_misleads_no_caller(here: Arena) -> None:
    """Row 6: across a restart and the removal, nothing is written, chowned or removed outside;
    and what it made to last goes all the same.
    """
    victim = Path(here.file("victims/file", "untouched"))
    before = victim.stat(), victim.parent.stat()
    reply = here.begin(PLANT, str(victim), here.kernel.state_dir, restart_policy="on-failure")
    agent = reply["id"]
    for _ in range(400):
        [entry] = [one for one in here.client.list_agents() if one["id"] == agent]
        if entry["restarts"] and entry["running"]:
            break
        here.client.recv_messages(wait=0.05)
    assert entry["restarts"] == 1
    here.client.kill(agent)
    after = victim.stat(), victim.parent.stat()
    assert victim.read_text() == "untouched"
    for then, now in zip(before, after, strict=True):
        assert (then.st_uid, then.st_mode, then.st_ino) == (now.st_uid, now.st_mode, now.st_ino)
    assert os.path.exists(here.kernel.socket)
    for _ in range(100):
        if str(agent) not in os.listdir(f"{here.kernel.state_dir}/agents"):
            break
        here.client.recv_messages(wait=0.05)
    assert str(agent) not in os.listdir(f"{here.kernel.state_dir}/agents")
