"""How many doors a SPAWN goes through: counted in a kernel that runs in the tool's process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MOST_MODULES = 80
"""73 are enough; on a slow machine what the kernel does now and then falls into the SPAWN as well."""


@pytest.mark.parametrize("how", ["warm", "cold"])
def test_a_spawn_enters_few_modules_and_the_package_of_launches_four_times_at_most(
    how: str,
) -> None:
    words = [sys.executable, "-m", "tools.spawn_modules", how]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=50, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    found = re.search(r"^kernel\.launch was entered (\d+) times$", ran.stdout, re.MULTILINE)
    assert found is not None
    assert 2 <= int(found[1]) <= 4
    modules = re.findall(r"^(\d+) modules, ", ran.stdout, re.MULTILINE)
    assert 10 <= sum(map(int, modules)) <= MOST_MODULES, ran.stdout
