"""What is installed: the plugin, the commands, the locks, the wheel."""

from __future__ import annotations

import configparser
import re
import subprocess
import zipfile
from importlib.metadata import entry_points, requires, version
from pathlib import Path

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from clove import __version__
from clove.deploy.bundle.own_wheel import make_wheel
from tools.lock import ENVIRONMENT, needed, without_ours

ROOT = Path(__file__).resolve().parents[2]
PINNED = r"[A-Za-z0-9._-]+==\S+( ; [^\n]+)? \\\n +--hash=sha256:[0-9a-f]{64}"
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-bundle.lock"]
LOCKS += ["requirements-release.lock"]


def locked(name: str) -> dict[str, str]:
    """Version of each package of a lock, by its normal name."""
    text = (ROOT / name).read_text()
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ \\]+)", text, re.MULTILINE)
    return {_normal(package): number for package, number in found}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_twistd_knows_the_kernel_and_the_relay() -> None:
    assert {"clove-kernel", "clove-relay"} <= {maker.tapname for maker in getPlugins(IServiceMaker)}


def test_the_plugin_directory_does_not_shadow_twisted() -> None:
    assert not (ROOT / "twisted" / "__init__.py").exists()
    assert not (ROOT / "twisted" / "plugins" / "__init__.py").exists()


def test_the_clove_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="clove")
    assert command.value == "clove.cli.main:main"
    assert callable(command.load())


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash_and_no_other_source(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--?(index|extra|find|trusted|i |f )", text, re.MULTILINE)
    packages = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(packages) > 20
    for package in packages:
        assert re.match(PINNED, package), package


def test_the_locks_have_what_setup_cfg_asks_for() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for section, key, lock in (
        ("options", "install_requires", "requirements.lock"),
        ("options.extras_require", "dev", "requirements-dev.lock"),
        ("options", "install_requires", "requirements-bundle.lock"),
        ("options.extras_require", "postgresql", "requirements-bundle.lock"),
        ("options.extras_require", "release", "requirements-release.lock"),
    ):
        have = locked(lock)
        for line in config[section][key].split():
            name, _, least = line.partition(">=")
            chosen = have[_normal(name.partition("[")[0])]
            assert _numbers(chosen) >= _numbers(least), line


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_the_locks_agree_and_hold_the_build_backend() -> None:
    plain, dev, bundle, _ = (locked(name) for name in LOCKS)
    assert {name: dev.get(name) for name in plain} == plain
    assert "setuptools" in plain
    brought = {name: version for name, version in bundle.items() if name != "pip"}
    assert {name: dev.get(name) for name in brought} == brought
    assert set(plain) - set(bundle) == {"setuptools"}


def test_a_lock_says_what_only_some_pythons_need_and_not_what_holds_everywhere() -> None:
    everywhere = " and ".join(ENVIRONMENT)
    assert without_ours(f"a==1 ; {everywhere} \\\n") == "a==1 \\\n"
    some = f"b==2 ; python_full_version < '3.12' and {everywhere} \\\n"
    assert without_ours(some) == "b==2 ; python_full_version < '3.12' \\\n"
    either = f"c==3 ; (python_full_version < '3.12' and {everywhere}) or {everywhere} \\\n"
    assert without_ours(either) == either


def test_the_locks_are_made_from_setup_cfg_and_the_build_backend() -> None:
    plain, dev, bundle, release = (set(needed(lock)) for lock in LOCKS)
    assert {"twisted>=24.11", "setuptools>=68"} <= plain < dev
    assert "pytest>=8" in dev
    assert {"twisted>=24.11", "psycopg[binary]>=3.2", "pip>=24"} <= bundle
    assert "sphinx>=8" in release
    assert not release & plain


def test_the_metadata_names_the_same_requirements() -> None:
    names = {re.split(r"[>=<; \[]", line)[0].lower() for line in requires("clove") or []}
    assert {"twisted", "msgspec", "click"} <= names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if _numbers(version("setuptools"))[0] < 68:
        pytest.skip("setuptools is older than our build needs; `make dev` installs the locked one")
    return make_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_the_plugin_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "twisted/plugins/clove_plugin.py" in names
    assert "twisted/__init__.py" not in names
    assert {"clove/py.typed", "clove/framing.py", "clove/sandbox/inside/helper.py"} <= names
    page = "clove/relay/rest/dashboard"
    assert {f"{page}/index.html", f"{page}/app.js", f"{page}/style.css"} <= names
    assert {f"{page}/vendor/preact.mjs", f"{page}/vendor/preact.LICENSE"} <= names
    assert any(name.endswith("LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "bench/", "examples/")) for name in names)


def test_the_wheel_has_every_file_that_is_no_module(wheel: Path) -> None:
    """The dashboard, profiles, locks, and what `clove deploy` hands on; by git's list of them."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "clove", "deploy"]
    done = subprocess.run(listed, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout, so nothing lists the files")
    wanted = {
        re.sub(r"^deploy/", "clove/deploy/files/", name)
        for name in done.stdout.split("\0")
        if name and not (ROOT / name).is_symlink() and (ROOT / name).exists()
    }
    with zipfile.ZipFile(wheel) as archive:
        assert wanted - set(archive.namelist()) == set()


def test_the_version_has_one_source(wheel: Path) -> None:
    assert wheel.name == f"clove-{__version__}-py3-none-any.whl"
    literal = re.escape(__version__)
    assert not re.search(literal, (ROOT / "setup.cfg").read_text())
    assert not re.search(rf"version.*{literal}", (ROOT / "pyproject.toml").read_text())


def test_the_wheel_is_the_same_when_it_is_built_again(wheel: Path, tmp_path: Path) -> None:
    assert make_wheel(tmp_path).read_bytes() == wheel.read_bytes()
