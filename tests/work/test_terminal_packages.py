"""What drives terminals, and what draws on them, as package indexes have it: pexpect, and an agent's screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, Host, host, kill_all
from tests.integration.test_attach_command import ENVIRON, PYTHON, words
from tests.integration.user_terminal import on_terminal

DRIVES = """
import sys, pexpect
shell = pexpect.spawn(sys.argv[1], sys.argv[2:], encoding="utf-8", timeout=90, dimensions=(33, 77))
shell.expect_exact("> ")
shell.sendline("stty size; echo fir''st")
shell.expect_exact("33 77")
shell.expect_exact("first")
shell.sendline(r'''sh -c "echo rea''dy; exec sleep 600"''')
shell.expect_exact("ready")
shell.sendcontrol("c")
shell.sendline("echo ba''ck")
shell.expect_exact("back")
shell.setwinsize(20, 50)
shell.sendline("stty size; exit 7")
shell.expect_exact("20 50")
shell.expect(pexpect.EOF)
shell.close()
sys.exit(shell.exitstatus)
"""
SHELL = ("/bin/bash", "--norc", "--noprofile", "-i")


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def here(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running


def install(here: Host, name: str, *command: str) -> Path:
    """A directory in which a command has installed something, given the directory as its last word."""
    directory = Path(here.kernel.directory, "files", name)
    directory.mkdir(parents=True, mode=0o755)
    done = subprocess.run(
        [*command, str(directory)], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        pytest.skip(f"no index has {name} for this machine: {done.stderr[-300:]}")
    for path in (directory, *directory.rglob("*")):  # whatever our umask is
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    return directory


def test_pexpect_drives_a_program_inside_and_is_one(here: Host) -> None:
    pip = (sys.executable, "-m", "pip", "install", "-q", "pexpect", "--target")
    packages = install(here, "pexpect", *pip)
    shell = words(here, "run", "-it", "--env", "PS1=> ", "--", *SHELL)
    outside = subprocess.run(
        [sys.executable, "-c", DRIVES, *shell],
        env={**ENVIRON, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert outside.returncode == 7, outside.stderr
    options = ("--dir", f"{packages}:ro", "--env", f"PYTHONPATH={packages}", "--env", "PS1=> ")
    inside = subprocess.run(
        words(here, "run", *options, "--", PYTHON, "-c", DRIVES, *SHELL),
        env=ENVIRON,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert inside.returncode == 7, inside.stderr


def test_an_agent_from_npm_draws_its_first_page_and_follows_the_window(here: Host) -> None:
    """Without a key: it asks how to sign in."""
    if shutil.which("npm") is None:
        pytest.skip("not installed: apt-get install npm")
    npm = ("npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", "@openai/codex")
    packages = install(here, "codex", *npm, "--prefix")
    program = packages / "node_modules/@openai/codex/bin/codex.js"
    options = ("--profile", "coding", "--memory", "2G", "--dir", f"{packages}:ro")
    node = os.path.realpath(shutil.which("node") or "node")
    agent = words(here, "run", "-it", *options, "--", node, str(program))
    with on_terminal(agent, ENVIRON, 40, 100) as user:
        user.until(b"Welcome to")
        user.until(b"Sign in")
        user.resize(30, 70)
        user.until(b"Sign in")
        user.type(b"\x10\x11")  # detaches: the page has keys of its own
        assert user.ended() == 0
    kill_all(here.client)
    assert user.shown.rindex(b"\x1b[?1049l") > user.shown.rindex(b"Sign in")
