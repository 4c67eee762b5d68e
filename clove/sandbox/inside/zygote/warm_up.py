"""What every main program will do, done once ahead of time.

A forked process pays for each page of memory that it is the first to write (3 us
here), and Python writes wherever it reads: it counts references. So a main program
does before its spec comes what it will do afterwards: half of its pages are its own
by then.
"""

from __future__ import annotations

import json
import os
import sys

from clove.sandbox.inside.zygote.script import Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["warm_up_parts"]

SPEC_BYTES = 24 << 10
"""About as long as specs are, with their filters."""

SCRIPT = '''
"""Nothing."""
import os, sys, time
from json import dumps

WORDS = {"number": 1, "list": [*range(3)]}

class Thing:
    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> "Thing":
        return self

    def __exit__(self, *error: object) -> None:
        self.name = ""

def main(argv: list[str]) -> int:
    with Thing(f"{argv!r} {time.time_ns()} {os.getpid()}") as thing:
        try:
            return len(dumps({**WORDS, "name": thing.name}))
        except (OSError, ValueError) as error:
            return 1 if error else 0

if __name__ == "":
    main(sys.argv[1:])
main([])
'''


def warm_up_parts(
    path: Sequence[str], others: Callable[[], None]
) -> tuple[Callable[[], None], ...]:
    """What to do, in parts of about a millisecond: when the spec comes the rest is left out.

    @param path: see L{Script}.
    @param others: what else main programs do.
    """
    environment = {**os.environ, "CLOVE_SOCKET": "", "CLOVE_AGENT_ID": "0"}
    return _read_spec, Script(sys.orig_argv, environment, path).introduce, _run_script, others


def _read_spec() -> None:
    words = ["x" * 40] * (SPEC_BYTES // 2 // 44)
    numbers = [{"path": str(number), "writable": False} for number in range(SPEC_BYTES // 2 // 36)]
    json.loads(json.dumps({"words": words, "numbers": numbers}))


def _run_script() -> None:
    exec(compile(SCRIPT, "", "exec", dont_inherit=True), {"__name__": ""})  # noqa: S102 our own
