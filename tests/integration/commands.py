"""Runs `clove` as a process, against the kernel of the module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import KernelProcess

CLOVE = str(Path(sys.executable).with_name("clove"))
Result = subprocess.CompletedProcess[str]


@pytest.fixture
def clove(kernel: KernelProcess) -> Any:
    def run(*words: str, stdin: str | None = None) -> Result:
        return subprocess.run(
            [CLOVE, "--socket", kernel.socket, *words],
            capture_output=True,
            text=True,
            input=stdin if stdin is not None else "",
            timeout=60,
            check=False,
        )

    return run
