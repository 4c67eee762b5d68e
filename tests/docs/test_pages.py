"""Every block of the README and the tutorial does what the page shows, for root and for an ordinary user."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.adversary.isolated import ROOT, ROOTLESS
from tests.docs.newcomer import newcomer
from tests.docs.page import SavedFile, steps

TREE = Path(__file__).parents[2]
PAGES = [
    "README.md",
    *sorted(str(path.relative_to(TREE)) for path in TREE.glob("docs/tutorial/*.md")),
]


@functools.cache
def has_index() -> bool:
    with tempfile.TemporaryDirectory() as directory:
        words = ["-m", "pip", "download", "-q", "--no-deps", "-d", directory, "pytest"]
        return subprocess.run([sys.executable, *words], check=False, timeout=240).returncode == 0


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_happens(page: str, who: str, short_dir: str) -> None:
    todo = steps((TREE / page).read_text())
    if not todo:
        return
    text = "\n".join(step.text for step in todo)
    used = [call.split()[0] for call in ("curl ", "git ", "ps -e") if call in text]
    missing = [name for name in used if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if "pip install" in text and not has_index():
        pytest.skip("no package index is in reach")
    with newcomer(who, short_dir) as someone:
        for step in todo:
            if isinstance(step, SavedFile):
                someone.save(step)
            else:
                someone.follow(step)
