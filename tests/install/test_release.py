"""The wheel in environments of its own: with pip and the lock, and with pipx."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove._version import __version__
from clove.deploy.bundle import Target
from clove.deploy.bundle.maker import bundle_pins
from clove.deploy.bundle.own_wheel import make_wheel

REPACK = (
    "import sys; from pathlib import Path; from clove.deploy.bundle.own_wheel import make_wheel\n"
)
REPACK += "print(make_wheel(Path(sys.argv[1])))"
INSTALL = ["install", "--disable-pip-version-check", "-qq"]


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program far from the source tree; output and errors in one."""
    unwanted = ("PYTHON", "VIRTUAL_ENV", "CLOVE_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(unwanted)}
    return subprocess.run(
        [str(word) for word in words],
        cwd="/",
        env=kept | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """One whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="c", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def wheel(directory: Path) -> Path:
    return make_wheel(directory)


@pytest.fixture(scope="module")
def lock(directory: Path) -> Path:
    pins = [pin for pin in bundle_pins() if Target.here().needs(pin.marker)]
    path = directory / "lock"
    path.write_text("".join(pin.requirement() for pin in pins))
    return path


@pytest.fixture(scope="module")
def environment(directory: Path, wheel: Path, lock: Path) -> Path:
    """The directory of programs of an environment with the wheel and the lock in it."""
    programs = directory / "e/bin"
    steps: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", directory / "e"],
        [programs / "pip", *INSTALL, "--no-deps", "--require-hashes", "-r", lock],
        [programs / "pip", *INSTALL, "--no-deps", "--no-index", wheel],
    ]
    for words in steps:
        done = run(*words)
        assert done.returncode == 0, done.stdout
    return programs


def runs_an_agent(clove: Path, home: Path) -> None:
    home.mkdir()
    variables = {"HOME": str(home), "XDG_RUNTIME_DIR": "", "CLOVE_SOCKET": str(home / "s")}
    up = run(clove, "up", "--socket", home / "s", "--state-dir", home / "state", **variables)
    assert up.returncode == 0, up.stdout
    try:
        assert run(clove, "run", "--", "echo", "hello", **variables).stdout == "hello\n"
    finally:
        down = run(clove, "down", **variables)
    assert down.returncode == 0, down.stdout


def test_the_requirements_of_the_wheel_are_whole(environment: Path) -> None:
    done = run(environment / "pip", "check")
    assert done.returncode == 0, done.stdout


def test_twistd_knows_the_plugins_where_it_cannot_keep_a_cache_of_them(environment: Path) -> None:
    (plugins,) = environment.parent.glob("lib/python*/site-packages/twisted/plugins")
    cache = plugins / "dropin.cache"
    cache.unlink(missing_ok=True)
    cache.mkdir()  # for root as well
    try:
        done = run(environment / "twistd", "--help")
    finally:
        cache.rmdir()
    assert {"clove-kernel", "clove-relay", "clove-tunnel"} <= set(done.stdout.split()), done.stdout


def test_an_agent_runs(environment: Path, directory: Path) -> None:
    runs_an_agent(environment / "clove", directory / "h")


def test_an_installed_clove_is_packed_again_to_the_same_bytes(
    environment: Path, wheel: Path, tmp_path: Path
) -> None:
    done = run(environment / "python", "-c", REPACK, tmp_path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_an_installed_file_that_was_altered_is_not_packed(
    environment: Path, tmp_path: Path
) -> None:
    (module,) = environment.parent.glob("lib/python*/site-packages/clove/spelling.py")
    before = module.read_bytes()
    module.write_bytes(before + b"\n")
    try:
        done = run(environment / "python", "-c", REPACK, tmp_path)
    finally:
        module.write_bytes(before)
    assert done.returncode != 0
    assert "clove/spelling.py of the installed Clove is not what was installed" in done.stdout


def test_pipx_installs_a_command_that_runs_an_agent(
    environment: Path, wheel: Path, lock: Path, directory: Path
) -> None:
    done = run(sys.executable, "-m", "venv", directory / "p")
    assert done.returncode == 0, done.stdout
    if run(directory / "p/bin/pip", *INSTALL, "pipx").returncode:
        pytest.skip("no package index can be reached that has pipx")
    pins = directory / "pins"
    pins.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in bundle_pins()))
    homes = {"PIPX_HOME": str(directory / "x"), "PIPX_BIN_DIR": str(directory / "xb")}
    words: list[str | Path] = [
        directory / "p/bin/pipx",
        "install",
        "--python",
        sys.executable,
        wheel,
    ]
    done = run(*words, PIP_CONSTRAINT=str(pins), **homes)
    assert done.returncode == 0, done.stdout
    clove = directory / "xb/clove"
    assert run(clove, "--version").stdout == f"clove, version {__version__}\n"
    runs_an_agent(clove, directory / "hx")
