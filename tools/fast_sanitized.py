"""Run tests/compiled with clove-fast compiled for AddressSanitizer and UndefinedBehaviorSanitizer.

`python -m tools.fast_sanitized`; `make test-fast` does it last. A read or write outside of a buffer ends the tests
with a report. Where the compiler has no such libraries it says so and skips.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tools.release.fast_wheel import make_fast_wheel
from tools.release.tree import TREE

__all__ = ["main"]

FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
LIBRARIES = ("libasan.so", "libubsan.so")


def _libraries() -> list[str]:
    """The sanitizers' libraries; gcc gives the bare name back for what it has not."""
    compiler = os.environ.get("CC") or "gcc"
    found = []
    for name in LIBRARIES:
        words = [compiler, f"-print-file-name={name}"]
        found.append(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return [path for path in map(str.strip, found) if os.path.isabs(path)]


def main() -> int:
    """Build it in a directory that is thrown away, and test it; the exit code."""
    libraries = _libraries()
    if len(libraries) < len(LIBRARIES):
        print("no sanitizers here (apt-get install libasan8): skipped", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(prefix="clove-sanitized-") as temporary:
        os.environ.update(CFLAGS=FLAGS, LDFLAGS=FLAGS)
        packages = Path(temporary, "site-packages")
        with zipfile.ZipFile(make_fast_wheel(Path(temporary))) as wheel:
            wheel.extractall(packages)
        variables = {
            # Python must be loaded after them; it frees little at its end, which is no leak of ours.
            "LD_PRELOAD": " ".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(packages),
        }
        words = [sys.executable, "-m", "pytest", "--capture=sys", "tests/compiled"]
        return subprocess.run(words, cwd=TREE, env=os.environ | variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
