"""Where the relative paths of a peer on the main socket start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from clove.kernel.credentials import LocalPeer
from clove.kernel.principals import _working_directory

needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="no pidfd_open here")


def test_it_is_the_peers_own() -> None:
    assert _working_directory(LocalPeer(os.getpid(), os.getuid(), 0)) == os.getcwd()


@needs_pidfd
def test_that_of_another_process_with_the_same_pid_is_not_taken(tmp_path: Path) -> None:
    """The one that connected has ended, and its pid is this process's by now."""
    child = subprocess.Popen(["/bin/true"])
    held = os.pidfd_open(child.pid)
    child.wait()
    peer = LocalPeer(os.getpid(), os.getuid(), 0, held)
    try:
        assert _working_directory(peer) is None
    finally:
        peer.close()


def test_one_that_is_gone_has_none() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        child.wait()
        assert _working_directory(LocalPeer(child.pid, os.getuid(), 0)) is None
