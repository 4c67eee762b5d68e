"""`twistd clove-relay` as a child process, and what is said to its port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import daemons
from tests.waiting import until

__all__ = ["RelayProcess", "relay_process"]

TWISTD = Path(sys.executable).with_name("twistd")


class RelayProcess:
    """A relay that runs.

    @ivar shown: where its standard output goes.
    @ivar log_file: its log.
    @param prefix: a command that runs its command.
    """

    def __init__(self, directory: Path, config: str, prefix: tuple[str, ...] = ()) -> None:
        self.directory = directory
        self._prefix = prefix
        self.shown = directory / "shown"
        self.log_file = directory / "log"
        (directory / "config.toml").write_text(f"{config}\n[hub]\nport = 0\n")
        self.process: daemons.Process | None = None

    def start(self, *more: str) -> None:
        """Start it, with these options too, and wait until it serves."""
        words = [*self._prefix, str(TWISTD), "-n", "--pidfile=", "--logfile", str(self.log_file)]
        words += ["clove-relay", "--state-dir", str(self.directory / "state")]
        words += ["--config", str(self.directory / "config.toml"), *more]
        earlier = self.log.count("serves REST")
        with self.shown.open("ab") as shown:
            self.process = daemons.start_daemon(
                words,
                cwd=os.getcwd(),
                environ=os.environ,
                output=shown,
                python=() if self._prefix else [sys.executable],
            )
        try:
            until(lambda: self._began(earlier), "the relay serves")
        except BaseException:
            self.stop()
            raise

    def _began(self, earlier: int) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.shown.read_text() + self.log
        return self.log.count("serves REST") > earlier

    def stop(self, by: int = signal.SIGTERM) -> int:
        """End it; gives its exit code."""
        assert self.process is not None
        self.process.send_signal(by)
        return self.process.wait(30)

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def admin(self) -> str:
        """The first token that it has shown."""
        [found] = re.findall(r"clove_admin_\w+", self.shown.read_text())
        return str(found)

    @property
    def port(self) -> int:
        return int(re.findall(r"serves REST on \S+ port (\d+)", self.log)[-1])

    def connect(self) -> socket.socket:
        """A connection without anything said."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> tuple[int, Any]:
        """One request; gives status and JSON."""
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            if tls is None
            else http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=tls)
        )
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            headers = {"Authorization": f"Bearer {self.admin if token is None else token}"}
            connection.request(method, path, data, headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())


@contextlib.contextmanager
def relay_process(
    directory: Path, config: str = "[rest]\nport = 0\n", prefix: tuple[str, ...] = ()
) -> Iterator[RelayProcess]:
    """A relay of its own process; it ends with the block."""
    relay = RelayProcess(directory, config, prefix)
    relay.start()
    try:
        yield relay
    finally:
        assert relay.process is not None
        if relay.process.poll() is None:
            relay.stop(signal.SIGKILL)
