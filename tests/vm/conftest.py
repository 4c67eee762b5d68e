"""Kernels as systemd services, for the tests that run in the guest (`docs/vm.md`).

On any other machine nothing here is collected: the tests start units, kill
kernels and fork without end, which a throw-away system may suffer.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from clove import CloveClient

collect_ignore_glob = [] if "CLOVE_GUEST" in os.environ else ["test_*.py"]

PROGRAMS = Path("/srv/venv/bin")
ROOT = Path("/sys/fs/cgroup")
PATIENCE = 90.0
"""Seconds that anything may take before a test fails: no measure, the guest is slow."""


def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until it holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"never happened: {what}")
        time.sleep(0.05)


def output(*command: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def words(path: Path) -> list[str]:
    """A control file's words."""
    return path.read_text().split()


def table(path: Path) -> dict[str, int]:
    """A control file of names and numbers."""
    pairs = iter(words(path))
    return {name: int(number) for name, number in zip(pairs, pairs, strict=True)}


def cgroup_of(pid: int) -> Path:
    """The directory of a process's cgroup."""
    place = Path(f"/proc/{pid}/cgroup").read_text().strip()
    return ROOT / place.removeprefix("0::/")


def answers(path: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


@dataclass
class Unit:
    """A kernel as a service of systemd.

    @ivar user: whom it runs as.
    @ivar manager: words before `systemctl` and `systemd-run` that reach its manager.
    """

    name: str
    user: str = "root"
    manager: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    properties: tuple[str, ...] = ("Delegate=yes",)
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def directory(self) -> Path:
        """Where its socket, its state and the tests' scripts lie."""
        return Path("/tmp", self.name)

    @property
    def socket(self) -> str:
        return str(self.directory / "s")

    @property
    def pid(self) -> int:
        """Of the kernel; 0 when it does not run."""
        return int(self.systemctl("show", "--value", "--property=MainPID", self.name))

    @property
    def base(self) -> Path:
        """The unit's own cgroup."""
        place = self.systemctl("show", "--value", "--property=ControlGroup", self.name).strip()
        return ROOT / place.removeprefix("/")

    def systemctl(self, *arguments: str) -> str:
        return output(*self.manager, "systemctl", *self.scope, *arguments)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.directory.mkdir(mode=0o755)
        output("chown", self.user, str(self.directory))
        settings = [f"--property={one}" for one in self.properties]
        output(
            *self.manager,
            "systemd-run",
            *self.scope,
            "--quiet",
            f"--unit={self.name}",
            f"--working-directory={self.directory}",
            "--setenv=PYTHONDONTWRITEBYTECODE=1",
            *settings,
            *kernel_command(self.directory),
        )
        self.wait()

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + PATIENCE
        while not answers(self.socket):
            if time.monotonic() > end:
                pytest.fail(f"{self.name} does not answer:\n{self.journal()}")
            time.sleep(0.05)

    def journal(self) -> str:
        """What it has logged, and what its systemd has said of it."""
        unit = "--user-unit" if self.scope else "--unit"
        return output("journalctl", "--no-pager", "-o", "short-monotonic", f"{unit}={self.name}")

    def story(self) -> str:
        """What to know of it when a test fails: its state, its journal, its cgroups."""
        facts = "ActiveState,SubState,Result,NRestarts,MainPID,ExecMainStatus"
        state = self.systemctl("show", f"--property={facts}", self.name)
        places = [str(path) for path in self.base.rglob("clove-*")] if self.base != ROOT else []
        return "\n".join((state, self.journal(), *places))

    def stop(self) -> None:
        """End it; nothing of it may remain."""
        base = self.base
        self.systemctl("stop", self.name)
        if base != ROOT:  # a unit that has failed has no cgroup
            until(lambda: not base.exists(), f"{base} is removed")
        output("rm", "-rf", str(self.directory))

    @contextlib.contextmanager
    def client(self) -> Iterator[CloveClient]:
        """A connection to it, as its operator: root, who has to say that the user is trusted."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CLOVE_TRUST_UID", str(pwd.getpwnam(self.user).pw_uid))
            with CloveClient(self.socket) as connected:
                yield connected

    def script(self, text: str) -> str:
        """A script for an agent of it."""
        path = self.directory / f"agent{next(self.numbers)}.py"
        path.write_text(text)
        path.chmod(0o644)
        return str(path)


def kernel_command(directory: Path) -> list[str]:
    """A kernel whose socket, state and configuration are in a directory."""
    config = directory / "kernel.toml"
    config.write_text(f"[limits.launch]\nlaunch_timeout = {PATIENCE}\n")  # the guest is slow
    places = [
        "--config",
        str(config),
        "--socket",
        f"{directory}/s",
        "--state-dir",
        f"{directory}/d",
    ]
    return [str(PROGRAMS / "twistd"), "-n", "--pidfile=", "clove-kernel", *places]


def shipped_hardening() -> tuple[str, ...]:
    """What the shipped unit of a root kernel forbids it: agents must not miss any of that."""
    text = (Path(__file__).parents[2] / "deploy/systemd/system/clove-kernel.service").read_text()
    names = "NoNewPrivileges|RestrictRealtime|SystemCallArchitectures|CapabilityBoundingSet"
    return tuple(re.findall(rf"^(?:{names})=.*$", text, re.MULTILINE))


def system_unit() -> Unit:
    """A service of the system that runs as root, hardened as the shipped one."""
    return Unit("kroot", properties=("Delegate=yes", *shipped_hardening()))


def user_unit() -> Unit:
    """A service of the system that runs as an ordinary user."""
    return Unit("kuser", "tester", properties=("Delegate=yes", "User=tester"))


def users_own_unit() -> Unit:
    """A service of an ordinary user's own systemd."""
    become = ("setpriv", "--reuid=tester", "--regid=tester", "--init-groups")
    environ = ("env", "XDG_RUNTIME_DIR=/run/user/1000", "HOME=/home/tester")
    return Unit("kown", "tester", manager=(*become, *environ), scope=("--user",))


@contextlib.contextmanager
def running(unit: Unit) -> Iterator[Unit]:
    """A unit that runs, gone afterwards."""
    unit.start()
    try:
        yield unit
    except BaseException:
        print(unit.story())  # pytest shows it with the failure
        raise
    finally:
        unit.stop()


@pytest.fixture(
    scope="session", params=[system_unit, user_unit, users_own_unit], ids=["root", "user", "own"]
)
def unit(request: pytest.FixtureRequest) -> Iterator[Unit]:
    """A kernel in each of the ways that a service can have its cgroup delegated."""
    with running(request.param()) as started:
        yield started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure of a test that uses the fixture `unit` comes with the unit's story."""
    report = yield
    unit = getattr(item, "funcargs", {}).get("unit")
    if report.when == "call" and report.failed and isinstance(unit, Unit):
        report.sections.append((f"unit {unit.name}", unit.story()))
    return report


@pytest.fixture
def client(unit: Unit) -> Iterator[CloveClient]:
    """Its operator; the agents of a test end with the test."""
    with unit.client() as connected:
        yield connected
        for agent in connected.list_agents():
            with contextlib.suppress(Exception):
                connected.kill(agent["id"])
