"""Processes below one, found and signalled."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clove.sandbox.inside.process_tree import Namespace, descendants

TREE = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from clove.sandbox.inside.process_tree import Descendants, descendants
everybody = Descendants()
reader, writer = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:  # its parent leaves it an orphan
            os.setsid()
            os.write(writer, b"x")
            time.sleep(1000)
        os._exit(0)
for _ in range(3):
    os.read(reader, 1)
print(len(descendants(os.getpid())) >= 3)
everybody.kill()
print(len(descendants(os.getpid())))
"""


def test_orphans_in_other_sessions_are_found_and_killed() -> None:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    ran = subprocess.run(
        [sys.executable, "-c", TREE, root], capture_output=True, text=True, timeout=30
    )
    assert ran.stdout == "True\n0\n", ran.stderr


def test_no_process_but_the_first_of_a_namespace_can_signal_all() -> None:
    assert os.getpid() != 1
    with pytest.raises(OSError, match="not process 1"):
        Namespace()


def test_a_process_without_children_has_no_descendants() -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as childless:
        assert descendants(childless.pid) == set()
