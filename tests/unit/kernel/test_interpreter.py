"""The interpreter of a kernel is set for a loop that waits little."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, sys
from clove.kernel.tap import Options, makeService
options = Options()
options.parseOptions(["--socket", "/nowhere/s", "--state-dir", "/nowhere/d"])
makeService(options)
print(sys.getswitchinterval(), gc.get_freeze_count() > 50_000, len(gc.get_objects()) < 5_000, gc.get_threshold()[2] > 10)
"""


def test_a_full_collection_leaves_out_what_was_imported_and_threads_soon_give_way() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0.0005", "True", "True", "True"]
