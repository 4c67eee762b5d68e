"""A PostgreSQL of the tests' own: in a short directory, with a Unix socket and no other."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.waiting import until

__all__ = ["PostgreSQL", "own_postgresql"]

_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",  # what a killed server had written is there nevertheless
    "shared_buffers": "16MB",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgreSQL:
    """A server that runs.

    @ivar directory: of its data and of its socket.
    """

    def __init__(self, programs: Path, directory: Path) -> None:
        self.directory = directory
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        # PostgreSQL does not run as root
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            facts = pwd.getpwnam(self._user)
            os.chown(directory, facts.pw_uid, facts.pw_gid)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        group = None if self._user is None else pwd.getpwnam(self._user).pw_gid
        with (self.directory.with_suffix(".log")).open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / words[0]), *words[1:]],
                cwd=self.directory,
                env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
                user=self._user,
                group=group,
                extra_groups=None if self._user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self.directory.with_suffix(".log").read_text()

    def prepare(self) -> None:
        """Make its files."""
        data = str(self.directory / "data")
        words = ["--no-sync", "--auth=trust", "--username=clove", "--encoding=UTF8", "-D", data]
        assert self._start("initdb", *words).wait(120) == 0, self.log

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {**_OPTIONS, "unix_socket_directories": str(self.directory)}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._process = self._start("postgres", "-D", str(self.directory / "data"), *words)
        until(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.address()):
            return True
        return False

    def stop(self, by: int = signal.SIGQUIT) -> None:
        """End it: by default at once, as if it were killed, but for what would be left in memory."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(by)
            self._process.wait(30)

    def signal_all(self, number: int) -> None:
        """To the server and its processes."""
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in [self._process.pid, *map(int, path.read_text().split())]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def address(self, database: str = "postgres") -> str:
        """Its connection string."""
        return f"host={self.directory} user=clove dbname={database}"

    def new_database(self) -> str:
        """The connection string of an empty database."""
        name = f"relay{next(self._numbers)}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)


@contextlib.contextmanager
def own_postgresql() -> Iterator[PostgreSQL]:
    """One for some tests; they are skipped where there is none to be had."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4])
    path = str(found[-1]) if found else shutil.which("initdb")
    if path is None:
        pytest.skip("there is no PostgreSQL server here (apt-get install postgresql)")
    directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="c"))
    server = PostgreSQL(Path(path).parent, directory)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)
        directory.with_suffix(".log").unlink(missing_ok=True)
