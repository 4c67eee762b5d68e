"""What requests of the REST API say in one line is one line."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clove.relay.rest.agent_types import ScriptName
from clove.relay.rest.types import LabelKey, MachineId, NumberText, Text


@pytest.mark.parametrize("kind", [LabelKey, MachineId, NumberText, ScriptName, Text])
@pytest.mark.parametrize("end", ["\n", "\r", "\x9b31m", "\x7f"])
def test_nothing_that_a_terminal_obeys_follows_a_text(kind: Any, end: str) -> None:
    assert msgspec.convert("7", kind) == "7"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(f"7{end}", kind)
