"""The bearer of a token, with an agent that listens, and `clove forward` to it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.integration.fleet.fleet_processes import Fleet
from tests.waiting import until

__all__ = ["ECHO", "Bearer", "connect", "read_all"]

MAIN = "from clove.cli.main import main; main()"
ECHO = """
import socket, threading
def serve(one):
    while data := one.recv(65536):
        one.sendall(data)
    one.sendall(b"<end>")
    one.close()
port = socket.create_server(("127.0.0.1", 7000), backlog=256)
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=port.accept()[:1], daemon=True).start()
"""


class Bearer:
    """One token's bearer, with an agent that echoes what it gets on port 7000."""

    def __init__(self, fleet: Fleet, machine: str, made: dict[str, str]) -> None:
        self.fleet, self.machine = fleet, machine
        self.token, self.token_id = made["token"], made["id"]
        self.client: RemoteClient = fleet.client(machine, self.token)
        self.agent = self.client.spawn(f"echo-{self.token_id}", command=["python3", "-c", ECHO])[
            "agent_id"
        ]
        until(lambda: self.client.logs(self.agent)["lines"], "it listens")

    def close(self) -> None:
        with contextlib.suppress(CloveError):
            self.client.kill(agent_id=self.agent)
        self.client.close()

    @contextlib.contextmanager
    def forwarded(self, port: int = 7000) -> Iterator[tuple[int, subprocess.Popen[str]]]:
        """`clove forward`, and where it listens."""
        words = ["forward", f"{self.machine}:{self.agent}:{port}", "0", "--json"]
        environ = {**self.fleet.commands_environ(), "CLOVE_RELAY_TOKEN": self.token}
        with subprocess.Popen(
            [sys.executable, "-c", MAIN, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environ},
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()
            try:
                yield json.loads(line)["port"], process
            finally:
                process.terminate()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.settimeout(20)
    return connection


def read_all(connection: socket.socket) -> bytes:
    found = b""
    while data := connection.recv(1 << 16):
        found += data
    return found
