"""`clove` as somebody calls it in a directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["Shell"]

CLOVE = str(Path(sys.executable).with_name("clove"))


class Shell:
    """Calls `clove` in a directory."""

    def __init__(self, place: Path, socket: str) -> None:
        self.place = place
        self._socket = socket

    def file(self, name: str, text: str) -> Path:
        path = self.place / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    def __call__(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        return subprocess.run(
            [CLOVE, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            env={**env, "CLOVE_SOCKET": self._socket, **environ},
        )

    def out(self, *words: str, **environ: str) -> str:
        """What it prints when nothing is wrong."""
        result = self("run", *words, **environ)
        assert (result.returncode, result.stderr) == (0, ""), result
        return result.stdout
