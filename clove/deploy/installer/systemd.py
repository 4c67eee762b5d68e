"""What an installation asks of systemd, where that is running; nothing where it is not (a chroot, a container)."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from clove.deploy.installer.bundle_directory import Problem
from clove.deploy.installer.layout import Layout

__all__ = ["Systemd", "users_without_state"]


def users_without_state(path: Path) -> list[str]:
    """The users that a C{sysusers.d} file names, which there are and whose state directories there are not.

    @param path: the file; where the distribution has one of the same name, the users are that one's.
    """
    if Path("/usr/lib/sysusers.d", path.name).exists() or not path.is_file():
        return []
    lines = [shlex.split(line, comments=True) for line in path.read_text().splitlines()]
    named = [(words[1], words[4]) for words in lines if len(words) > 4 and words[0] == "u"]
    there = {each.pw_name for each in pwd.getpwall()}
    return [name for name, home in named if name in there and not Path(home).exists()]


class Systemd:
    """The system's systemd, or the user's."""

    def __init__(self, layout: Layout, environment: Mapping[str, str]) -> None:
        self._layout = layout
        runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        running = Path(runtime, "systemd/private") if layout.user else Path("/run/systemd/system")
        self.runs = running.exists() and shutil.which("systemctl") is not None
        self._environment = {**environment, "XDG_RUNTIME_DIR": runtime}

    def control(self, *words: str) -> None:
        """Run C{systemctl}.

        @raise Problem: it says no.
        """
        self._run("systemctl", *(["--user"] if self._layout.user else []), *words)

    def apply(self, files: Sequence[Path]) -> None:
        """Make the users and directories that placed C{sysusers.d} and C{tmpfiles.d} files name.

        @raise Problem: they cannot be made.
        """
        for directory, words in (
            ("sysusers.d", ["systemd-sysusers"]),
            ("tmpfiles.d", ["systemd-tmpfiles", "--create"]),
        ):
            chosen = [str(path) for path in files if path.parent.name == directory]
            if chosen and shutil.which(words[0]):
                self._run(*words, *chosen)

    def remove_user(self, name: str) -> None:
        """Remove a user of the system, with the group of that name.

        @raise Problem: a process of that user still runs, or the like.
        """
        self._run("userdel", name)

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            words,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise Problem(f"{' '.join(words)}: {said}", "mend that and run the same command again")
