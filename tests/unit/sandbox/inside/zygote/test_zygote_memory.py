"""What the zygote does about memory: its heap is compact, a warm-up leaves no trace."""

from __future__ import annotations

import json
import subprocess
import sys

GAPPY = """
import json
from clove.sandbox.inside.zygote.heap_compaction import compact_heap

SIZES = (40, 100, 300)
kept = [bytes(size) for size in SIZES for _ in range(20_000)]
del kept[::100]
{close}
places = {{}}
made = []
for size in SIZES:
    made.append([bytes(size) for _ in range(100)])
    places[size] = len({{id(block) >> 12 for block in made[-1]}})
print(json.dumps(places))
"""
WARMED_UP = """
import json, os, sys, threading
from clove.client.warmup import warm_up as talk
from clove.sandbox.inside.zygote import process_title
from clove.sandbox.inside.zygote.warm_up import warm_up_parts

process_title.learn("/proc")
path, called = list(sys.path), []
before = (sorted(os.listdir("/proc/self/fd")), threading.active_count(), os.getcwd())
for part in warm_up_parts(path, lambda: called.append(talk())):
    part()
after = (sorted(os.listdir("/proc/self/fd")), threading.active_count(), os.getcwd())
print(json.dumps([before == after, sys.path == path, len(called)]))
"""


def output(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_what_is_allocated_after_compaction_lies_together() -> None:
    before = json.loads(output(GAPPY.format(close="")))
    after = json.loads(output(GAPPY.format(close="compact_heap()")))
    for size, pages in before.items():
        least = 100 * (int(size) + 33) // 4096 + 1
        assert after[size] <= 2 * least + 4 < pages


def test_a_warm_up_says_nothing_and_leaves_nothing() -> None:
    assert json.loads(output(WARMED_UP)) == [True, True, 1]
