"""Whether sandboxes can be made here, for tests that need them: asked once, since each look starts processes."""

from __future__ import annotations

from typing import Final

import pytest

from clove.sandbox.probe import probe

__all__ = ["NEEDS_SANDBOX", "NO_SANDBOX", "SANDBOXES"]

NO_SANDBOX: Final = "no sandbox here; `clove doctor` says why"
SANDBOXES: Final = probe().sandbox
NEEDS_SANDBOX: Final = pytest.mark.skipif(not SANDBOXES, reason=NO_SANDBOX)
