"""The example for asyncio, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/asyncio_questions.py"


def test_the_questions_are_answered_and_the_summary_is_streamed(kernel: Any) -> None:
    clove = str(Path(sys.executable).with_name("clove"))
    words = [clove, "--socket", kernel.socket, "run", str(EXAMPLE), "tidal power"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    parts = ran.stdout.split("## ")[1:]
    headings = [part.splitlines()[0] for part in parts]
    assert headings == [
        "What is tidal power?",
        "How does tidal power work?",
        "Who needs tidal power, and what for?",
        "In short",
    ]
    assert all(part.splitlines()[2] for part in parts)
