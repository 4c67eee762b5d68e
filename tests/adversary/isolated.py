"""Default sandboxes without a kernel around them, as root and as an ordinary user make them."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import clove
from tests.waiting import PATIENCE

ROOT, ROOTLESS = "root", "rootless"
RunIsolated = Callable[..., Any]
UNUSED_UID = 12345
DRIVER = str(Path(__file__).with_name("isolation_driver.py"))
PATHS = [
    str(Path(clove.__file__).parent.parent),
    *(path for path in sys.path if "packages" in path),
]


@functools.cache
def unprivileged_python() -> str:
    """An interpreter of this version that an unprivileged user can run; "" if none."""
    for python in (sys.executable, "/usr/bin/python3"):
        probe = "import sys, twisted, clove.sandbox.launcher; print(sys.version_info[:2])"
        try:
            ran = _start(python, ["-c", probe], ROOTLESS, "")
        except OSError:
            continue
        if ran.stdout.strip() == str(sys.version_info[:2]):
            return python
    return ""


def _start(
    python: str,
    words: list[str],
    who: str,
    text: str,
    prefix: tuple[str, ...] = (),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, python, *words],
        input=text,
        capture_output=True,
        timeout=2 * PATIENCE,
        **_surroundings(who),
        **options,
    )


def _surroundings(who: str) -> dict[str, Any]:
    """What a process of this user gets."""
    options: dict[str, Any] = {
        "text": True,
        "cwd": "/",
        "env": {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(PATHS),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    }
    if who == ROOTLESS and os.getuid() == 0:
        uid = UNUSED_UID
        options |= {"user": uid, "group": uid, "extra_groups": []}
    return options


def _python(who: str) -> str:
    """The interpreter for the driver; skips where this machine or user cannot do it."""
    if who == ROOT and os.getuid() != 0:
        pytest.skip("only root can act as a root kernel")
    if who == ROOTLESS and os.getuid() == 0:
        if not unprivileged_python():
            pytest.skip("no interpreter that an unprivileged user can run")
        return unprivileged_python()
    return sys.executable


@contextlib.contextmanager
def started(who: str, asked: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A driver at work, to be killed; killed afterwards at the latest."""
    process = subprocess.Popen(
        [_python(who), DRIVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        **_surroundings(who),
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked))
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()


def run(who: str, asked: dict[str, Any], prefix: tuple[str, ...] = (), **options: Any) -> Any:
    """What the driver says; skips where this machine or user cannot do it."""
    ran = _start(_python(who), [DRIVER], who, json.dumps(asked), prefix, **options)
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout)
