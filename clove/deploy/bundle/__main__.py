"""C{python -m clove.deploy.bundle [DIRECTORY]}: make bundles, as C{make dist} does."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clove.deploy.bundle import MACHINES, PYTHONS, Target, make_bundle
from clove.errors import CloveError


def main() -> int:
    """Make one bundle, and print its path; the exit code."""
    here = Target.here()
    parser = argparse.ArgumentParser(prog="python -m clove.deploy.bundle", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path(), help="where it goes")
    parser.add_argument("--python", default=here.python, help=f"one of {', '.join(PYTHONS)}")
    parser.add_argument("--machine", default=here.machine, help=f"one of {', '.join(MACHINES)}")
    chosen = parser.parse_args()
    try:
        bundle = make_bundle(chosen.directory, Target(chosen.python, chosen.machine))
    except (CloveError, OSError) as error:
        print(f"{error}\n  hint: {getattr(error, 'hint', '')}", file=sys.stderr)
        return 1
    print(bundle.path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
