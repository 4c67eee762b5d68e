"""C{make test-cloud}: C{clove deploy aws} makes a machine, which boots in an emulator, joins a relay here, and runs an agent.

    python -m tests.cloud.run IMAGE-DIRECTORY

All of it is real but AWS: the command, the bundle, the user data, cloud-init's data source for EC2, systemd, the
installation, the kernel, the relay and its certificate. terraform's cloud is a directory (L{tests.cloud.fake_terraform}), and
metadata service and S3 are L{tests.cloud.fake_aws}.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.cloud.deploying import install_terraform
from tests.cloud.fake_aws import FakeAWS
from tests.cloud.guest import RELAY_HOST, Guest, storage_host
from tests.integration.fleet.fleet_processes import tls_fleet
from tests.tls_identity import make_identity

REGION: Final = "eu-central-1"
NAME: Final = "lab"
SECONDS: Final = float(os.environ.get("CLOVE_VM_SECONDS", "2400"))
PROGRAMS: Final = Path(sys.executable).parent
CONFIG: Final = """
[rest]
port = 0
[hub]
port = 0
"""
AGENT: Final = """
import platform, socket
print("agent on", platform.node())
try:
    socket.create_connection(("169.254.169.254", 80), timeout=5)
    print("reaches the metadata service")
except OSError as error:
    print("no metadata:", type(error).__name__)
"""
HUB: Final = ("--hub", f"wss://{RELAY_HOST}:8765")


class Failed(Exception):
    """It did not work; says what."""


def main() -> int:
    """Make all of it, and take it away; the exit status."""
    image, begun = Path(sys.argv[1]), time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="clove-cloud-", dir="/tmp"))
    try:
        with ExitStack() as stack:
            checks = _Run(image, work, stack).checks()
    except Failed as failed:
        print(f"test-cloud: {failed}", file=sys.stderr)
        _show_end(work / "console")
        print("0 passed, 1 failed")
        return 1
    finally:
        shutil.rmtree(work)
    print(f"{checks} passed, 0 failed ({time.monotonic() - begun:.0f} s)")
    return 0


class _Run:
    """One deployment, from nothing to nothing."""

    def __init__(self, image: Path, work: Path, stack: ExitStack) -> None:
        self._image = image
        self._work = work
        self._stack = stack
        self._begun = time.monotonic()
        (work / "relay").mkdir()
        names = (RELAY_HOST, "127.0.0.1")
        self._fleet = stack.enter_context(tls_fleet(work / "relay", *names, config=CONFIG))
        token = work / "admin-token"
        token.touch(0o600)
        token.write_text(self._fleet.admin)
        self._environ = {
            **os.environ,
            **install_terraform(work),
            "HOME": str(work),
            "XDG_STATE_HOME": str(work / "state"),
        }
        relay = f"https://127.0.0.1:{self._fleet.rest_port}"
        self._relay = [
            "--relay",
            relay,
            "--token-file",
            str(token),
            "--ca-file",
            self._fleet.ca_file,
        ]

    def checks(self) -> int:
        """How many things held.

        @raise Failed: one did not.
        """
        words = ["deploy", "aws", "--name", NAME, "--region", REGION, *HUB, *self._relay]
        deploy = self._start(words)
        aws, guest = self._boot(deploy)
        self._wait(deploy, guest, words)
        self._tell("deployed")
        asked = len(aws.metadata_asked)
        self._check_agent()
        _hold(
            len(aws.metadata_asked) == asked, "something asked the metadata service after the boot"
        )
        _hold(
            (f"join/{NAME}", 200) in aws.objects_asked, "the machine did not fetch its join token"
        )
        done = subprocess.run(
            self._words(*words, "--destroy", "--yes"), env=self._environ, check=False
        )
        _hold(done.returncode == 0, "it cannot be destroyed")
        _hold(not list(self._work.glob("cloud/instances/*.json")), "an instance is left")
        _hold(not list(self._work.glob("state/clove/deployments/*")), "a deployment is left")
        _hold(
            self._fleet.ask("GET", "/machines")["machines"] == [], "the relay has a machine still"
        )
        self._tell("removed")
        return 8

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        deploy = subprocess.Popen(self._words(*words), env=self._environ, stdin=subprocess.DEVNULL)
        self._stack.callback(deploy.kill)
        return deploy

    def _boot(self, deploy: subprocess.Popen[bytes]) -> tuple[FakeAWS, Guest]:
        """What AWS does once terraform has asked for an instance."""
        place = self._work / "cloud" / "instances" / f"{NAME}.json"
        for _ in _ticks(SECONDS, "terraform asked for no instance"):
            if place.exists():
                break
            _hold(deploy.poll() is None, "the deployment has ended before there was a machine")
        self._tell("terraform has asked for an instance: booting it")
        [bucket] = self._work.glob("cloud/buckets/*")
        host = storage_host(bucket.name, REGION)
        (self._work / "s3").mkdir()
        tls = make_identity(self._work / "s3", host)
        aws = FakeAWS(NAME, json.loads(place.read_text()), bucket, REGION, tls)
        self._stack.callback(aws.stop)
        hub = self._fleet.hub_port
        guest = Guest(self._image, self._work, host, Path(tls[1]), hub, aws)
        self._stack.callback(guest.stop)
        return aws, guest

    def _wait(self, deploy: subprocess.Popen[bytes], guest: Guest, words: list[str]) -> None:
        """Until the command has ended well, with what the machine says meanwhile.

        On a busy host an emulated machine takes longer than the command waits: then it is typed again.
        """
        told = 0
        for _ in _ticks(SECONDS, "the deployment did not end"):
            for line in guest.said()[told:]:
                told += 1
                self._tell(f"  machine: {line}")
                _hold(not line.startswith("clove: failed"), "the machine has failed")
            status = deploy.poll()
            if status == 0:
                return
            if status is not None:
                self._tell(f"clove deploy ended with {status}: once more")
                deploy = self._start(words)
            _hold(guest.runs, "the emulator has ended")

    def _check_agent(self) -> None:
        """An agent of a user's, started here, runs there."""
        script = self._work / "script.py"
        script.write_text(AGENT)
        words = self._words("agent", "run", "--machine", NAME, *self._relay, str(script))
        done = subprocess.run(words, env=self._environ, capture_output=True, text=True, check=False)
        self._tell("clove agent run said:")
        print(done.stdout + done.stderr, flush=True)
        _hold(done.returncode == 0, f"clove agent run ended with {done.returncode}")
        _hold("agent on " in done.stdout, "the agent's output did not come")
        _hold("no metadata: " in done.stdout, "an agent reaches the metadata service")

    def _words(self, *words: str) -> list[str]:
        return [str(PROGRAMS / "clove"), *words]

    def _tell(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:5.0f} s  {text}", flush=True)


def _ticks(seconds: float, failure: str) -> Iterator[None]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.2)
    raise Failed(failure)


def _hold(holds: bool, failure: str) -> None:
    if not holds:
        raise Failed(failure)


def _show_end(console: Path) -> None:
    if console.exists():
        print(*console.read_text(errors="replace").splitlines()[-60:], sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
