"""`clove` as the user of a kernel calls it, root or an ordinary one, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from tests.adversary.isolated import PATHS, unprivileged_python
from tests.integration.exposed import ORDINARY, ROOTLESS, Host

__all__ = ["User", "make_wheel"]


class User:
    """The user of a kernel.

    @ivar place: the current directory of what it calls.
    @ivar python: the interpreter that its `clove` runs with, and that of its agents.
    """

    MAIN = "import sys; sys.argv[0] = 'clove'; from clove.cli.main import main; main()"

    def __init__(self, host: Host) -> None:
        self._other = host.who == ROOTLESS and os.getuid() == 0
        self.python = unprivileged_python() if self._other else sys.executable
        self.home = Path(host.directory("home"))
        self.place = Path(host.directory("home/project"))
        for path in (self.home, self.place):
            path.chmod(0o755)
        self._environ = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "CLOVE_SOCKET": host.kernel.socket,
            "PIP_CONFIG_FILE": os.devnull,
        }
        if self._other:
            self._environ["PYTHONPATH"] = os.pathsep.join(PATHS)

    def file(self, name: str, text: str) -> Path:
        path = self.place / name
        path.write_text(text)
        if self._other:
            os.chown(path, ORDINARY, ORDINARY)
        return path

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """A call under way."""
        return self.launch([self.python, "-P", "-c", self.MAIN, *words], **environ)

    def launch(self, command: list[str], **environ: str) -> subprocess.Popen[str]:
        """Any program of this user's, under way."""
        options: dict[str, Any] = {}
        if self._other:
            options = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []}
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.place,
            env={**self._environ, **environ},
            **options,
        )

    def __call__(
        self, *words: str, timeout: float = 120, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        with self.start(*words, **environ) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def make_wheel(directory: Path, name: str, version: str = "1") -> None:
    """A package with one module, whose VALUE is its version (PEP 427)."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = "Wheel-Version: 1.0\nGenerator: clove\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = f"{name}-{version}.dist-info"
    files = {f"{name}.py": f"VALUE = {version!r}\n"}
    files |= {f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
