"""Default sandboxes without a kernel around them, as root and as an ordinary user make them."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import clove

ROOT, ROOTLESS = "root", "rootless"
RunIsolated = Callable[..., Any]
NOBODY_IN_PARTICULAR = 12345
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
    limit: float = 50,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    if who == ROOTLESS and os.getuid() == 0:
        uid = NOBODY_IN_PARTICULAR
        options |= {"user": uid, "group": uid, "extra_groups": []}
    return subprocess.run(
        [*prefix, python, *words],
        input=text,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=limit,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(PATHS),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        **options,
    )


def run(who: str, asked: dict[str, Any], prefix: tuple[str, ...] = (), **options: Any) -> Any:
    """What the driver says; skips where this machine or user cannot do it."""
    python = sys.executable
    if who == ROOT and os.getuid() != 0:
        pytest.skip("only root can act as a root kernel")
    if who == ROOTLESS and os.getuid() == 0:
        python = unprivileged_python()
        if not python:
            pytest.skip("no interpreter that an unprivileged user can run")
    ran = _start(python, [DRIVER], who, json.dumps(asked), prefix, **options)
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout)
