"""Make or refresh `.venv-fast`: what `.venv` has, and clove-fast as `make dist` builds it.

`make test-fast` runs the tests there that go through the compiled part. Where there is no C compiler it says so and
ends with 75, for a skip; C{CLOVE_FAST_REQUIRED=1} makes a failure of that.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from clove._version import __version__
from clove.errors import Unavailable
from tools.release.fast_wheel import make_fast_wheel
from tools.release.tree import TREE

SKIPPED = 75
DIRECTORY = TREE / ".venv-fast"


def key() -> str:
    """What its contents depend on."""
    parts = [sys.version, sys.prefix, __version__]
    parts += [path.read_text() for path in sorted((TREE / "fast").iterdir()) if path.is_file()]
    return hashlib.sha256("\0".join([*parts, Path(__file__).read_text()]).encode()).hexdigest()


def make(wheel: Path) -> None:
    """Make it anew, with this wheel."""
    venv.create(DIRECTORY, clear=True)
    python = DIRECTORY / "bin/python"
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*words, "install", "-qq", "--no-deps", "--no-index", str(wheel)], check=True)
    packages, ours = sysconfig.get_path("purelib"), f"lib/python{sysconfig.get_python_version()}"
    line = f"import site; site.addsitedir({packages!r})\n"
    (DIRECTORY / ours / "site-packages/clove.pth").write_text(line)
    for program in ("clove", "twistd"):
        text = Path(sys.prefix, "bin", program).read_text()
        path = DIRECTORY / "bin" / program
        path.write_text(f"#!{python}\n" + text.partition("\n")[2])
        path.chmod(0o755)


def main() -> int:
    """Make it if it is not there or old; the exit code."""
    mark = DIRECTORY / ".clove-fast"
    if mark.exists() and mark.read_text() == key():
        return 0
    with tempfile.TemporaryDirectory(prefix="clove-fast-") as temporary:
        try:
            make(make_fast_wheel(Path(temporary)))
        except Unavailable as error:
            print(f"{error} ({error.hint}): clove-fast is not tested", file=sys.stderr)
            return 1 if os.environ.get("CLOVE_FAST_REQUIRED") else SKIPPED
    mark.write_text(key())
    return 0


if __name__ == "__main__":
    sys.exit(main())
