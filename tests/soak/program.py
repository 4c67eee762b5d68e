"""The hostile agent as one text: an agent sees its own script and no neighbours."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["hostile_program"]

PLACE = Path(__file__).parent / "hostile"
PARTS = ("frame", "descriptors", "requests", "spawning", "inside", "network", "streams", "main")
_OURS = re.compile(r"^from tests\.soak\.hostile\.\w+ import (?:\([^)]*\)|.*)\n", re.MULTILINE)
_FUTURE = "from __future__ import annotations\n"


def hostile_program() -> str:
    """All parts in order, without what they import from each other. Pure but for reading them."""
    texts = [(PLACE / f"{part}.py").read_text() for part in PARTS]
    return _FUTURE + "\n\n".join(_OURS.sub("", text).replace(_FUTURE, "") for text in texts)
