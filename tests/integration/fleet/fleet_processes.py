"""A relay and kernels as processes, with nothing in between but loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clove import CloveClient
from clove.client.fleet import FleetClient
from clove.client.remote import RemoteClient
from tests import daemons
from tests.integration.conftest import READY_SECONDS, TWISTD, KernelProcess
from tests.tls_identity import make_identity

__all__ = ["CONFIG", "WHO", "Fleet", "Ran", "clove_process", "running_fleet", "tls_fleet"]

WHO = ("root", "rootless")
"""Users that run kernels."""

CONFIG = """
[rest]
port = 0
[hub]
port = 0
[limits.hub]
ping_seconds = 1.0
"""


class Fleet:
    """A relay process, and kernels that join it.

    @ivar admin: the first admin token.
    @ivar tunnel_url: what kernels dial, if that is not L{url}.
    @ivar environ: what the relay has besides.
    @ivar prefix: a command that runs the relay's.
    @ivar kernel_kind: makes kernels.
    @param ca_file: signs the relay's certificate; "": it has none.
    """

    def __init__(self, config: str = CONFIG, ca_file: str = "") -> None:
        self.ca_file = ca_file
        self.directory = tempfile.mkdtemp(dir="/tmp", prefix="fl")
        self._config = Path(self.directory, "relay.toml")
        if "[limits.rest]" not in config:  # tests look as often as they like
            config = f"{config.rstrip()}\n\n[limits.rest]\nrate = 10000.0\n"
        self._config.write_text(config)
        self.process: daemons.Process | None = None
        self.kernels: list[KernelProcess] = []
        self.admin = ""
        self.tunnel_url = ""
        self.environ: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()
        self.rest_port = self.hub_port = 0
        self.kernel_kind: Callable[..., KernelProcess] = KernelProcess

    def commands_environ(self) -> dict[str, str]:
        """What `clove` commands have besides: a home with a context for this relay, by the first admin token."""
        home = Path(self.directory, "home")
        path = home / ".clove/config.yaml"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(0o600)
        scheme = "https" if self.ca_file else "http"
        lines = [f"relay: {scheme}://127.0.0.1:{self.rest_port}", f"hub: {self.url}"]
        lines += [f"token: {self.admin}", *([f"ca_file: {self.ca_file}"] if self.ca_file else [])]
        indented = "".join(f"    {line}\n" for line in lines)
        path.write_text(f"current: fleet\ncontexts:\n  fleet:\n{indented}")
        return {"HOME": str(home)}

    @property
    def log(self) -> str:
        return Path(self.directory, "log").read_text(errors="replace")

    def start(self) -> None:
        words = [*self.prefix, str(TWISTD), "-n", "--pidfile=", "clove-relay"]
        words += ["--state-dir", f"{self.directory}/r", "--config", str(self._config)]
        path = Path(self.directory, "log")
        begin = path.stat().st_size if path.exists() else 0
        with path.open("ab") as log:
            self.process = daemons.start_daemon(
                words,
                cwd=self.directory,
                environ={**os.environ, **self.environ},
                output=log,
                python=() if self.prefix or self.environ else [sys.executable],
            )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            text = self.log[begin:]
            ports = dict(re.findall(r"serves (\w+) on \S+ port (\d+)", text))
            if len(ports) == 2:
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the relay did not start:\n{self.log}")
            time.sleep(0.01)
        self.rest_port, self.hub_port = int(ports["REST"]), int(ports["WebSockets"])
        found = re.search(r"clove_admin_\w+", text)
        if found is not None:
            self.admin = found[0]

    def descriptors(self) -> int:
        """How many the relay has."""
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def restart(self) -> None:
        """Start the relay anew, on the same ports."""
        text = self._config.read_text()
        text = text.replace("[hub]\nport = 0", f"[hub]\nport = {self.hub_port}")
        self._config.write_text(
            text.replace("[rest]\nport = 0", f"[rest]\nport = {self.rest_port}")
        )
        self.end()
        self.start()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    @property
    def url(self) -> str:
        return f"{'wss' if self.ca_file else 'ws'}://127.0.0.1:{self.hub_port}"

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        request = urllib.request.Request(
            f"{'https' if self.ca_file else 'http'}://127.0.0.1:{self.rest_port}/api/v1{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token or self.admin}", "Content-Type": "application/json"},
            method=method,
        )
        trust = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        with urllib.request.urlopen(request, timeout=20, context=trust) as reply:
            return json.load(reply)

    def join(
        self,
        machine: str,
        config: str = "",
        *,
        prefix: tuple[str, ...] = (),
        environ: dict[str, str] | None = None,
    ) -> KernelProcess:
        """A new kernel, which has joined.

        @param config: goes on in its section C{tunnel}.
        """
        token = self.ask("POST", "/tokens/join", {"machine_id": machine})["token"]
        directory = tempfile.mkdtemp(dir="/tmp", prefix="c")
        path = Path(directory, "join")
        path.touch(0o600)
        path.write_text(token)
        config = (
            f'[tunnel]\nrelay_url = "{self.tunnel_url or self.url}"\nmachine_id = "{machine}"\n'
            f'join_token_file = "{path}"\n{config}'
        )
        kernel = self.kernel_kind(directory, config, environ or {}, prefix=prefix)
        self.kernels.append(kernel)
        kernel.start()
        self.await_tunnel(kernel)
        return kernel

    def await_tunnel(self, kernel: KernelProcess) -> None:
        with CloveClient(kernel.socket) as client:
            deadline = time.monotonic() + READY_SECONDS
            while not (status := client.tunnel_status())["connected"]:
                if time.monotonic() > deadline:
                    raise AssertionError(f"no tunnel: {status}\n{kernel.log}\n{self.log}")
                time.sleep(0.01)

    def agent_token(self, machine: str, **fields: Any) -> str:
        body = {"target_machine": machine, "name": "test", **fields}
        return str(self.ask("POST", "/tokens/agent", body)["token"])

    def api(self, token: str = "") -> FleetClient:
        """A client of the REST API, which goes on loopback without TLS."""
        return FleetClient(f"http://127.0.0.1:{self.rest_port}", token or self.admin)

    def client(self, machine: str, token: str = "", **options: Any) -> RemoteClient:
        return RemoteClient(self.url, machine, token=token or self.agent_token(machine), **options)

    def stop(self, *, judge: bool = True) -> None:
        """End all of it.

        @param judge: fail when the relay has logged a fault.
        """
        for kernel in self.kernels:
            if kernel.process is not None:
                kernel.stop()
            shutil.rmtree(kernel.directory)
        self.end()
        text = self.log
        shutil.rmtree(self.directory)
        assert not (judge and "Traceback" in text), text[-8000:]


class Ran(NamedTuple):
    """What a command has said."""

    exit_code: int
    stdout: str
    stderr: str


def clove_process(fleet: Fleet, *words: str, typed: str = "", **environ: str) -> Ran:
    """`clove` as a process: the output of agents goes to descriptors.

    @param typed: its standard input, by a pipe; "": there is none.
    @param environ: more variables.
    """
    main = "from clove.cli.main import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", main, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **fleet.commands_environ(), **environ},
        timeout=60,
        check=False,
        **({"input": typed} if typed else {"stdin": subprocess.DEVNULL}),
    )
    return Ran(found.returncode, found.stdout, found.stderr)


def _ordinary_kernels() -> Callable[..., KernelProcess]:
    """Makes kernels that an ordinary user runs, started by root."""
    from tests.adversary.isolated import PATHS, unprivileged_python
    from tests.integration.exposed import ORDINARY, OrdinaryKernel

    if not unprivileged_python():
        pytest.skip("no interpreter that an ordinary user can run")

    def make(
        directory: str, config: str, environ: dict[str, str], *, prefix: tuple[str, ...] = ()
    ) -> KernelProcess:
        for path in (Path(directory), *Path(directory).iterdir()):
            os.chown(path, ORDINARY, ORDINARY)
        os.chmod(directory, 0o755)
        own = {"HOME": directory, "PYTHONPATH": os.pathsep.join(PATHS)}
        return OrdinaryKernel(directory, config, {**own, **environ}, prefix=prefix)

    return make


@contextlib.contextmanager
def running_fleet(who: str = "", *, config: str = CONFIG) -> Iterator[Fleet]:
    """A relay without kernels; all is gone afterwards.

    @param who: one of L{WHO}: runs the kernels; "": who runs the tests.
    """
    if who == "root" and os.getuid():
        pytest.skip("only root can run root's kernels")
    fleet = Fleet(config)
    if who == "rootless" and not os.getuid():
        fleet.kernel_kind = _ordinary_kernels()
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()


@contextlib.contextmanager
def tls_fleet(directory: Path, *names: str, config: str = CONFIG) -> Iterator[Fleet]:
    """A relay with a certificate, of an authority of its own; all is gone afterwards.

    @param directory: for the certificate and its key.
    @param names: host names and addresses that it is for.
    """
    key, certificate = make_identity(directory, *names)
    Path(key).chmod(0o600)
    tls = f'\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    fleet = Fleet(config + tls, certificate)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()
