"""`clove doctor` starts a whole sandbox, as root and as an ordinary user, and says what it is like."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from clove import __version__
from clove.cli.console import Console
from clove.cli.doctor import CHECKUP, running_kernel
from tests.adversary.isolated import PATHS, unprivileged_python
from tests.integration.conftest import KernelProcess
from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS
from tests.sandboxes import NEEDS_SANDBOX

CLOVE = str(Path(sys.executable).with_name("clove"))
WALLS = ("pid", "net", "mnt", "uts", "ipc", "user", "seccomp", "capabilities", "root", "files")

needs_sandbox = NEEDS_SANDBOX


def checked(who: str, *prefix: str) -> dict[str, dict[str, Any]]:
    """The findings of a check-up by root or an ordinary user."""
    python, words = sys.executable, [*prefix]
    if who == ROOT and os.getuid() != 0:
        pytest.skip("only root can check as root")
    if who == ROOTLESS and os.getuid() == 0:
        python = unprivileged_python()
        if not python:
            pytest.skip("no interpreter that an ordinary user can run")
        identity = ["--reuid", str(ORDINARY), "--regid", str(ORDINARY), "--clear-groups"]
        words = ["setpriv", *identity, *prefix]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(PATHS)}
    ran = subprocess.run(
        [*words, python, "-P", "-m", CHECKUP],
        capture_output=True,
        text=True,
        cwd="/",
        env=environ,
        timeout=60,
    )
    if prefix and not ran.stdout and "unshare" in ran.stderr:
        pytest.skip(f"no user namespace to forbid others in: {ran.stderr.strip()}")
    return {found["name"]: found for found in json.loads(ran.stdout)}


@needs_sandbox
@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_a_whole_sandbox_reports_on_itself(who: str) -> None:
    before = glob.glob(f"{tempfile.gettempdir()}/clove-doctor-*")
    found = checked(who)
    assert found["sandbox"]["detail"] == f"a whole one was started, {who}"
    for name in ("sandbox", *(f"sandbox.{wall}" for wall in WALLS), "sandbox.workspace"):
        assert found[name]["available"], found[name]
    for shared in (
        "descriptors",
        "inotify",
        "epoll",
        "pipes",
        "signals",
    ):  # docs/limits.md, by user
        assert f"shared.{shared}" in found
    assert found["shared.epoll"]["available"] is (who == ROOT)
    assert "cores" in found
    assert found["egress.refused"]["available"], found["egress.refused"]
    assert found["egress.allowed"]["available"], found["egress.allowed"]
    assert glob.glob(f"{tempfile.gettempdir()}/clove-doctor-*") == before


def test_what_forbids_a_sandbox_is_told_with_its_remedy() -> None:
    limit = "/proc/sys/user/max_user_namespaces"
    forbid = f'echo 0 >{limit} && exec setpriv --no-new-privs "$@"'
    found = checked(
        ROOTLESS, "unshare", "--map-current-user", "--keep-caps", "sh", "-c", forbid, "sh"
    )
    assert set(found) == {"sandbox"}
    assert not found["sandbox"]["available"]
    assert "a user namespace cannot be had" in found["sandbox"]["detail"]
    assert "(rootless)" in found["sandbox"]["detail"]
    assert "user.max_user_namespaces" in found["sandbox"]["remedy"]


def test_a_root_without_other_users_is_told_so() -> None:
    if os.getuid() != 0:
        pytest.skip("an ordinary user cannot try it as root")
    found = checked(ROOT, "unshare", "--map-root-user")
    assert not found["sandbox"]["available"]
    assert "agents' users" in found["sandbox"]["detail"]
    assert "user ids mapped" in found["sandbox"]["remedy"]


def test_an_interpreter_that_is_none_is_told() -> None:
    ran = subprocess.run(
        [CLOVE, "doctor", "--json", "--python", "/no/such/python"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    report = json.loads(ran.stdout)
    assert (ran.returncode, report["sandbox"]) == (1, False)
    [whole] = [each for each in report["features"] if each["name"] == "sandbox"]
    assert "/no/such/python" in whole["detail"]


@needs_sandbox
def test_doctor_says_that_the_sandbox_works() -> None:
    ran = subprocess.run([CLOVE, "doctor"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0
    assert "a whole one was started" in ran.stdout
    assert "The default sandbox works here." in ran.stdout


def test_the_kernel_that_runs_is_told_with_its_form(kernel: KernelProcess) -> None:
    (found,) = running_kernel(Console(kernel.socket, as_json=False))
    assert (found.name, found.available) == ("kernel", True)
    assert found.detail.startswith(f"{__version__} runs, ")
    assert found.detail.removeprefix(f"{__version__} runs, ") in (
        "with the compiled part",
        "in pure Python (docs/compiled.md)",
    )


def test_where_no_kernel_runs_none_is_told(tmp_path: Path) -> None:
    assert running_kernel(Console(str(tmp_path / "none.sock"), as_json=False)) == ()
