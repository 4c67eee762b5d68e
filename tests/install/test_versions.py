"""Command, kernel and relay of this tree and of an earlier one work together, whichever is which (docs/versions.md)."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PREVIOUS = "Say who is trusted, and what waits, in standard words"
"""The commit that is the earlier version; the last minor release once there is one."""
NAMES = ("command", "kernel", "relay")
MIXED = [each for each in itertools.product(("this", "earlier"), repeat=3) if len(set(each)) == 2]
STARTING = 60.0
CONTEXT = """current: here
contexts:
  here:
    relay: http://127.0.0.1:{rest}
    hub: ws://127.0.0.1:{hub}
    token: {token}
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Source trees by name; both run with the packages that are installed here."""
    find = ["git", "-C", str(ROOT), "log", "-1", "--format=%H", f"--grep=^{PREVIOUS}$"]
    found = subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        pytest.skip("the earlier version is not in this checkout's history")
    earlier = tmp_path_factory.mktemp("earlier")
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", found, "clove", "twisted"],
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", str(earlier)], input=archive.stdout, check=True)
    for tree in (ROOT, earlier):  # it is that tree's Clove that runs
        where = [sys.executable, "-c", "import clove; print(clove.__file__)"]
        environment = os.environ | {"PYTHONPATH": str(tree)}
        said = subprocess.run(where, env=environment, cwd="/", capture_output=True, check=True)
        assert said.stdout.decode().strip() == str(tree / "clove/__init__.py")
    return {"this": ROOT, "earlier": earlier}


class Fleet:
    """A relay, a kernel and a command, of the trees that were chosen."""

    def __init__(self, directory: Path, command: Path, kernel: Path, relay: Path) -> None:
        self.directory = directory
        self.trees = {"command": command, "kernel": kernel, "relay": relay}
        self.environment = {"HOME": str(directory), "PATH": os.environ["PATH"]}
        self.environment["CLOVE_SOCKET"] = str(directory / "kernel.sock")

    @contextmanager
    def daemon(self, part: str, *words: str) -> Iterator[None]:
        twistd = [sys.executable, str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile="]
        with (self.directory / f"{part}.log").open("wb") as log:
            process = subprocess.Popen(
                [*twistd, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self.environment | {"PYTHONPATH": str(self.trees[part])},
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(STARTING)

    def found(self, part: str, pattern: str) -> str:
        deadline = time.monotonic() + STARTING
        log = self.directory / f"{part}.log"
        while time.monotonic() < deadline:
            if found := re.search(pattern, log.read_text(errors="replace")):
                return found[1]
            time.sleep(0.05)
        raise AssertionError(log.read_text(errors="replace"))

    def clove(self, *words: str, part: str = "command", typed: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-c", "from clove.cli.main import main; main()", *words],
            input=typed,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=self.environment | {"PYTHONPATH": str(self.trees[part])},
            timeout=STARTING,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        assert "minor version" not in done.stderr
        return done.stdout


@contextmanager
def running(directory: Path, trees: dict[str, Path], mix: tuple[str, ...]) -> Iterator[Fleet]:
    with ExitStack() as stack:
        fleet = Fleet(directory, *(trees[name] for name in mix))
        (directory / "relay.toml").write_text("[rest]\nport = 0\n[hub]\nport = 0\n")
        relay = ["--state-dir", str(directory / "relay"), "--config", str(directory / "relay.toml")]
        kernel = [
            "--socket",
            str(directory / "kernel.sock"),
            "--state-dir",
            str(directory / "kernel"),
        ]
        stack.enter_context(fleet.daemon("relay", "clove-relay", *relay))
        stack.enter_context(fleet.daemon("kernel", "clove-kernel", *kernel))
        rest = fleet.found("relay", r"serves REST on 127\.0\.0\.1 port (\d+)")
        hub = fleet.found("relay", r"serves WebSockets on 127\.0\.0\.1 port (\d+)")
        token = fleet.found("relay", r"(clove_admin_\w+)")
        if mix[0] == "earlier":  # it has no contexts, and asks for nothing by WebSocket
            fleet.environment["CLOVE_RELAY"] = f"http://127.0.0.1:{rest}"
            fleet.environment["CLOVE_RELAY_TOKEN"] = token
        else:
            config = directory / ".clove/config.yaml"
            config.parent.mkdir()
            config.touch(0o600)
            config.write_text(CONTEXT.format(rest=rest, hub=hub, token=token))
        fleet.found("kernel", r"(clove-kernel answers)")
        yield fleet


@pytest.mark.parametrize(
    "mix", MIXED, ids=lambda mix: "-".join(map("=".join, zip(NAMES, mix, strict=True)))
)
def test_one_version_apart_all_works(
    short_dir: str, trees: dict[str, Path], mix: tuple[str, ...]
) -> None:
    with running(Path(short_dir), trees, mix) as fleet:
        assert fleet.clove("run", "--", "echo", "here") == "here\n"
        fleet.clove("run", "--detach", "--name", "sleeper", "--", "sleep", "1000")
        assert "sleeper" in fleet.clove("ps")
        fleet.clove("kill", "sleeper")
        hub = fleet.found("relay", r"serves WebSockets on 127\.0\.0\.1 port (\d+)")
        token = fleet.clove("machines", "join", "m1")
        join = ["tunnel", "join", f"ws://127.0.0.1:{hub}", "m1"]
        fleet.clove(*join, part="kernel", typed=token)
        (fleet.directory / "agent.py").write_text("print('through the relay')\n")
        if mix[0] == "earlier":
            said = fleet.clove("agent", "run", "agent.py", "--machine", "m1")
            assert said == "through the relay\n"
        else:  # to attach is what kernels and relays of before refuse a remote caller (docs/versions.md)
            fleet.clove("agent", "run", "--detach", "--machine", "m1", "agent.py")
        assert "m1" in fleet.clove("machines", "list")
        assert "agent" in fleet.clove("agent", "list", "--machine", "m1", "--all")
