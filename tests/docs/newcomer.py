"""A machine and a user that have seen no Clove yet, and a terminal on which the user types.

Started by root, it has a mount namespace of its own with a new /home, /run, /tmp and /var/lib, so that the
usual sockets and directories are unused yet; a virtual environment has Clove, and PATH leads to it, as the
README says. An ordinary user who runs the tests gets a home and the socket in a directory, for lack of such
a namespace.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adversary.isolated import PATHS, ROOT, UNUSED_UID, unprivileged_python
from tests.docs.page import Command, SavedFile, matches, parts_before_keys
from tests.integration.user_terminal import UserTerminal, on_terminal

__all__ = ["Newcomer", "newcomer"]

HOME = "/home/newcomer"
ROWS, COLUMNS = 50, 120
LONGEST = 240.0
"""Seconds that a command may take: one installs a package."""
PROMPT = "[[the page goes on]] "
AS_PROMPT = f"PS2= PS1='{PROMPT[:9]}''{PROMPT[9:]}'"  # without the prompt itself in what is echoed
PROGRAMS = {"clove": "clove.cli.main:main", "twistd": "twisted.scripts.twistd:run"}
NAMESPACE = f"""set -e
for directory in /home /run /var/lib; do mount -t tmpfs -o mode=755 tmpfs $directory; done
mount -t tmpfs -o mode=1777 tmpfs /tmp
install -d -o $1 -g $1 {HOME}
cd {HOME}
shift
exec "$@"
"""
SETUP = """set -e
mkdir -p clove .local/bin project
"$1" -m venv --without-pip clove/.venv
ln -s "$HOME/clove/.venv/bin/clove" .local/bin/clove
export PATH="$HOME/.local/bin:$PATH"
cd project
"""
BASH = ["/bin/bash", "--norc", "--noprofile", "--noediting"]


class Newcomer:
    """Does what a page says."""

    def __init__(self, terminal: UserTerminal) -> None:
        self._terminal = terminal

    def type(self, text: str) -> str:
        """Type a command and wait for the next prompt; what was shown meanwhile."""
        self._terminal.type(text.encode() + b"\n")
        return self._until(PROMPT).removesuffix(PROMPT)

    def save(self, file: SavedFile) -> None:
        """Write a file as an editor does."""
        parent = os.path.dirname(file.name)
        make = f"mkdir -p {shlex.quote(parent)}; " if parent else ""
        shown = self.type(
            f"{make}cat > {shlex.quote(file.name)} <<'END OF FILE'\n{file.text}END OF FILE"
        )
        assert shown == "", shown

    def follow(self, command: Command) -> None:
        """Type what a page says, and compare."""
        self._terminal.type(command.text.encode() + b"\n")
        *before, last = parts_before_keys(command.expected)
        shown = ""
        for part in before:
            for known in filter(None, part.replace("...", "\n").splitlines()):
                shown += self._until(known.strip())
            shown += self._until("\n")  # a line's end may come later than the rest of it
            self._terminal.type(b"\x03")
        shown += self._until(PROMPT).removesuffix(PROMPT)
        expected = "".join([*before, last])
        assert matches(expected, shown), (
            f"line {command.line}: $ {command.text}\n-- the page says:\n{expected}\n-- but:\n{shown}"
        )

    def leave(self) -> None:
        """End what may run yet, and the kernel."""
        self._terminal.type(b"\x03\x03\n")
        self.type("cd; clove down --force; echo it is do''wn")
        self._until("it is down")
        self._terminal.type(b"exit\n")
        self._terminal.ended()

    def _until(self, text: str) -> str:
        before = len(self._terminal.shown)
        try:
            return self._terminal.until(text.encode(), LONGEST).decode(errors="replace")
        except AssertionError:
            shown = self._terminal.shown[before:].decode(errors="replace")
        raise AssertionError(f"{text!r} is not shown, but:\n{shown}")


@contextlib.contextmanager
def newcomer(who: str, directory: str) -> Iterator[Newcomer]:
    """Somebody in an empty directory, at a shell's prompt. Ends the kernel that was started.

    @param who: C{root} or C{rootless}.
    @param directory: of the test, used by an ordinary user who runs the tests.
    """
    environ = {"TERM": "xterm", "LANG": "C.UTF-8", "VIRTUAL_ENV_DISABLE_PROMPT": "1"}
    with on_terminal(*_start(who, directory, environ), ROWS, COLUMNS) as terminal:
        terminal.type(f"{AS_PROMPT}; stty -echo\n".encode())
        terminal.until(PROMPT.encode())
        someone = Newcomer(terminal)
        _install(someone)
        try:
            yield someone
        finally:
            someone.leave()


def _install(someone: Newcomer) -> None:
    """Programs of a virtual environment, as pip makes them."""
    someone.save(SavedFile("../clove/.venv/clove.pth", "\n".join(PATHS) + "\n", 0))
    someone.type("mv ../clove/.venv/clove.pth ../clove/.venv/lib/python3*/site-packages/")
    for name, place in PROGRAMS.items():
        module, _, function = place.partition(":")
        text = f"#!$HOME/clove/.venv/bin/python\nimport sys\nfrom {module} import {function}\n"
        text += f"sys.exit({function}())\n"
        path = f"../clove/.venv/bin/{name}"
        assert someone.type(f"cat > {path} <<END && chmod +x {path}\n{text}END") == ""


def _start(who: str, directory: str, environ: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command of the shell, and its environment; skips where it cannot be had."""
    python = sys.executable
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    if os.getuid() != 0:
        if who == ROOT:
            pytest.skip("only root can run a root kernel")
        home = Path(directory, "home")
        home.mkdir()
        environ |= {"HOME": str(home), "PATH": path, "CLOVE_SOCKET": f"{directory}/s"}
        at_home = f"cd {home}\n{SETUP}" + 'shift; exec "$@"'
        return ["/bin/bash", "-c", at_home, "bash", python, *BASH], environ
    if not _has_mount_namespaces():
        pytest.skip("no mount namespaces can be made here")
    uid = 0
    become: list[str] = []
    if who != ROOT:
        uid, python = UNUSED_UID, unprivileged_python()
        if not python:
            pytest.skip("no interpreter that an ordinary user can run")
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    setup = ["/bin/bash", "-c", SETUP + 'shift; exec "$@"', "bash", python, *BASH]
    inner = ["/bin/sh", "-c", NAMESPACE, "sh", str(uid), *become, *setup]
    environ |= {"HOME": HOME, "PATH": path}
    return ["/usr/bin/unshare", "--mount", "--propagation", "private", *inner], environ


@functools.cache
def _has_mount_namespaces() -> bool:
    tried = subprocess.run(
        ["/usr/bin/unshare", "--mount", "true"], check=False, capture_output=True
    )
    return tried.returncode == 0
