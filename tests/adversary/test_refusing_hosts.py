"""Hosts that forbid what a sandbox needs, and containers: row 30 of the attacks.

A kernel there either isolates, or refuses with the reason and the remedy; `clove doctor` says
which before.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.isolated import PATHS, UNUSED_UID, unprivileged_python
from tests.integration.conftest import KernelProcess

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None or shutil.which("setpriv") is None,
    reason="needs unshare and setpriv",
)

ASK = """
import json, sys
from clove import CloveClient
from clove.errors import CloveError
found = {}
with CloveClient(sys.argv[1]) as client:
    for name, fields in {"plain": {}, "degraded": {"allow_degraded": True}, "cold": {"warm": False}}.items():
        try:
            reply = client.spawn(name, sys.argv[2], **fields)
            ended = client.wait(name, timeout=20)
            found[name] = {"isolation": reply["isolation"], "exit_code": ended["exit_code"]}
        except CloveError as error:
            found[name] = error.fields()
print(json.dumps(found))
"""


def limited(kind: str, most: int) -> tuple[str, ...]:
    """A command that runs another where only so many namespaces of a kind may be made."""
    limit = f"echo {most} > /proc/sys/user/max_{kind}_namespaces"
    shell = limit + ' && exec unshare -U --map-user=1000 --map-group=1000 -- "$0" "$@"'
    return ("unshare", "-U", "-r", "--", "sh", "-c", shell)


CONTAINER = ("unshare", "-U", "-r", "-m", "-i", "-u", "--")
"""An ordinary user's container, in which the kernel is root and the only user."""


class HostedKernel(KernelProcess):
    """A kernel of an ordinary user behind a command that takes something from it."""

    def command(self) -> list[str]:
        _, *words = super().command()
        twistd = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
        return [unprivileged_python() or sys.executable, "-P", "-c", twistd, *words]


def as_ordinary_user() -> dict[str, Any]:
    """Options of subprocess.run: root acts as somebody else."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(PATHS)}
    options: dict[str, Any] = {"env": environ, "capture_output": True, "text": True, "timeout": 60}
    if os.getuid() == 0:
        uid = UNUSED_UID
        options |= {"user": uid, "group": uid, "extra_groups": []}
    return options


@contextlib.contextmanager
def asked(prefix: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """What a kernel behind this command answers to three spawns."""
    if os.getuid() == 0:
        if not unprivileged_python():
            pytest.skip("no interpreter that an ordinary user can run")
        uid = str(UNUSED_UID)
        prefix = ("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *prefix)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        kernel = HostedKernel(
            directory, config="[access]\nother_namespaces = true\n", prefix=prefix
        )
        kernel.environ = {"HOME": directory, "PYTHONPATH": os.pathsep.join(PATHS)}
        if os.getuid() == 0:
            os.chown(directory, UNUSED_UID, UNUSED_UID)
        script = Path(directory, "script.py")
        script.write_text("print('ran')")
        python = unprivileged_python() or sys.executable
        try:
            kernel.start()
            words = [python, "-c", ASK, kernel.socket, str(script)]
            ran = subprocess.run(words, cwd="/", **as_ordinary_user())
            assert ran.returncode == 0, (ran.stderr, kernel.log)
            yield json.loads(ran.stdout)
        finally:
            if kernel.process is not None:
                kernel.stop()


def doctor(prefix: tuple[str, ...]) -> tuple[int, str]:
    """What `clove doctor` says behind this command: its exit code and text."""
    python = unprivileged_python() if os.getuid() == 0 else sys.executable
    code = "from clove.cli.main import main; main()"
    ran = subprocess.run([*prefix, python, "-c", code, "doctor"], cwd="/", **as_ordinary_user())
    return ran.returncode, ran.stdout + ran.stderr


def test_where_user_namespaces_are_forbidden_spawn_and_doctor_say_so() -> None:
    prefix = limited("user", 1)
    with asked(prefix) as found:
        for name in ("plain", "cold"):
            assert found[name]["code"] == "isolation_unavailable"
            assert "user namespace" in found[name]["error"]
            assert "max_user_namespaces" in found[name]["hint"]
            assert "clove doctor" in found[name]["hint"]
        less = found["degraded"]
        assert less["exit_code"] == 0
        assert less["isolation"]["fully_isolated"] is False
        assert not any(less["isolation"]["namespaces"].values())
        assert "user namespace" in less["isolation"]["degraded_reason"]
    code, text = doctor(prefix)
    assert code != 0
    assert "max_user_namespaces" in text


def test_where_one_namespace_is_forbidden_it_is_named() -> None:
    with asked(limited("net", 0)) as found:
        assert found["plain"]["code"] == "isolation_unavailable"
        assert "network namespace" in found["plain"]["error"]
        assert "max_net_namespaces" in found["plain"]["hint"]
        less = found["degraded"]["isolation"]
        assert less["namespaces"]["net"] is False
        assert less["namespaces"]["pid"] is less["namespaces"]["mnt"] is True


def test_in_a_container_without_other_users_it_says_what_it_needs() -> None:
    with asked(CONTAINER) as found:
        for name in ("plain", "cold"):
            assert found[name]["code"] == "isolation_unavailable"
            assert "is not mapped" in found[name]["error"]
            assert "uid_base" in found[name]["hint"]


def test_in_a_container_as_an_ordinary_user_it_isolates() -> None:
    """User namespaces within one another are allowed by Linux, 32 deep."""
    inner = ("unshare", "-U", "--map-user=1000", "--map-group=1000", "--")
    with asked((*CONTAINER, *inner)) as found:
        for name in ("plain", "cold"):
            assert all(found[name]["isolation"]["namespaces"].values())
            assert found[name]["exit_code"] == 0
