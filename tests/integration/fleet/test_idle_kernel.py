"""What a kernel without a tunnel does not have in its memory."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
import clove.kernel.service, clove.kernel.tap, clove.kernel.table
print(*sorted(name for name in sys.modules if name.split(".")[0] in {"autobahn", "txaio"}))
print(*sorted(name for name in sys.modules if name.startswith(("clove.tunnel", "clove.channels.m"))))
"""


def test_an_idle_kernel_has_no_websockets_in_its_memory() -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []
