"""The processes of a measurement: relays, and the simulators that connect to them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.fleet.tunnels import Job

__all__ = ["BareRelay", "Relay", "Simulator", "cpu_seconds", "resident_kb"]

TWISTD = Path(sys.executable).with_name("twistd")
READY_SECONDS = 60.0
PAGE = 500
TICK = os.sysconf("SC_CLK_TCK")


def resident_kb(pid: int) -> int:
    """Kilobytes of memory that a process has."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


def cpu_seconds(pid: int) -> float:
    """Processor time so far, of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Simulator:
    """A process of L{bench.fleet.tunnels}."""

    def __init__(self, job: Job) -> None:
        words = [sys.executable, "-m", "bench.fleet.tunnels", msgspec.json.encode(job).decode()]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, command: str) -> None:
        """Have it begin something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it says when that is done."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a simulator has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def do(self, command: str) -> dict[str, Any]:
        """Have it do something; what it says afterwards."""
        self.begin(command)
        return self.answer()

    def end(self) -> None:
        """Its tunnels are cut."""
        self._process.kill()
        self._process.communicate()


class Relay:
    """A relay of its own process, which may be started more than once, on the same ports.

    @param lines: more of its configuration.
    """

    def __init__(self, directory: Path, certificate: tuple[Path, Path] | None, lines: str) -> None:
        self._directory = directory
        self._tls = None
        self._log = directory / "log"
        self._lines = lines
        if certificate is not None:
            self._tls = ssl.create_default_context(cafile=str(certificate[0]))
            self._lines += f'[tls]\ncertificate = "{certificate[0]}"\nkey = "{certificate[1]}"\n'
        self._process: subprocess.Popen[bytes] | None = None
        self.rest_port = self.port = 0
        self.admin = ""

    @property
    def store(self) -> str:
        """The file of its own store."""
        return str(self._directory / "state" / "relay.sqlite")

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it serves."""
        config = self._directory / "relay.toml"
        ports = f"[rest]\nport = {self.rest_port}\n[hub]\nport = {self.port}\n"
        config.write_text(ports + self._lines)
        words = ["clove-relay", "--state-dir", str(self._directory / "state")]
        before = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as end:
            self._process = subprocess.Popen(
                [str(TWISTD), "-n", "--pidfile=", *words, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=end,
                stderr=end,
                cwd=self._directory,
            )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            text = self._log.read_bytes()[before:].decode()
            found = dict(re.findall(r"serves (\w+) on \S+ port (\d+)", text))
            if len(found) == 2:
                break
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"the relay does not start:\n{text}")
            time.sleep(0.01)
        self.rest_port, self.port = int(found["REST"]), int(found["WebSockets"])
        shown = re.findall(r"clove_admin_\w+", text)
        self.admin = shown[0] if shown else self.admin

    def stop(self, by: int = signal.SIGTERM) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(by)
            self._process.wait(60)

    def connection(self) -> http.client.HTTPConnection:
        """To its REST API."""
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=60)
        return http.client.HTTPSConnection(
            "127.0.0.1", self.rest_port, timeout=60, context=self._tls
        )

    def get(self, connection: http.client.HTTPConnection, path: str) -> Any:
        """What it answers."""
        connection.request(
            "GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {self.admin}"}
        )
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise SystemExit(f"GET {path}: {reply.status} {body[:500]!r}")
        return json.loads(body)

    def presences(self) -> dict[str, int]:
        """How many machines have each presence."""
        counts: dict[str, int] = {}
        connection, after = self.connection(), ""
        while True:
            page = self.get(connection, f"/machines?limit={PAGE}&after={after}")
            for machine in page["machines"]:
                counts[machine["presence"]] = counts.get(machine["presence"], 0) + 1
            after = page.get("next") or ""
            if not after:
                connection.close()
                return counts

    @property
    def log(self) -> str:
        """All of it."""
        return self._log.read_text()

    def long_turns(self) -> list[str]:
        """What the watchdog has said."""
        return re.findall(r"one turn of the reactor .*(?:\n\s.*)*", self.log)


class BareRelay:
    """L{bench.bare_relay}."""

    def __init__(self, certificate: tuple[Path, Path] | None) -> None:
        words = [sys.executable, "-m", "bench.bare_relay", "relay", *map(str, certificate or ())]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
