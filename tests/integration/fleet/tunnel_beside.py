"""`twistd clove-tunnel` and its kernel, as processes."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration.conftest import READY_SECONDS, TWISTD, KernelProcess
from tests.integration.fleet.fleet_processes import Fleet

__all__ = ["Beside", "running_beside"]


class Beside:
    """A kernel without a tunnel of its own, and the process that has one for it.

    @param more: of the tunnel's configuration.
    """

    def __init__(self, directory: str, fleet: Fleet, machine: str, more: str = "") -> None:
        self._machine = machine
        self._more = more
        self.callers = f"{directory}/callers.sock"
        self.kernel = KernelProcess(
            directory, f'[remote]\nsocket = "{self.callers}"\nlevel = "standard"\n'
        )
        self._fleet = fleet
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return Path(self._directory, "tunnel.log").read_text()

    def start(self) -> None:
        directory = Path(self._directory)
        token = self._fleet.ask("POST", "/tokens/join", {"machine_id": self._machine})["token"]
        join = directory / "join"
        join.touch(0o600)
        join.write_text(token)
        config = directory / "tunnel.toml"
        config.write_text(
            f'relay_url = "{self._fleet.tunnel_url or self._fleet.url}"\nmachine_id = "{self._machine}"\n'
            f'kernel_socket = "{self.callers}"\njoin_token_file = "{join}"\n'
            f'state_dir = "{directory}/key"\n{self._more}'
        )
        with (directory / "tunnel.log").open("wb") as log:
            self._process = subprocess.Popen(
                [TWISTD, "-n", "--pidfile=", "clove-tunnel", "--config", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
            )
        deadline = time.monotonic() + READY_SECONDS
        while self.presence() != "connected":
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def presence(self) -> str:
        found = self._fleet.ask("GET", "/machines")["machines"]
        return next((each["presence"] for each in found if each["machine_id"] == self._machine), "")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(20) in (0, -signal.SIGTERM)
            assert "Traceback" not in self.log


@contextlib.contextmanager
def running_beside(fleet: Fleet, machine: str, more: str = "") -> Iterator[Beside]:
    """Both, gone afterwards."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        beside = Beside(directory, fleet, machine, more)
        beside.kernel.start()
        try:
            beside.start()
            yield beside
        finally:
            beside.stop()
            beside.kernel.stop()
