"""The kernel asks for a larger part of the processors where Linux divides them by session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clove.kernel.priority import AUTOGROUP, prefer_own_session

ASK = "from clove.kernel.priority import *; print(prefer_own_session(), open(AUTOGROUP).read())"


def asked(own: bool) -> str:
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(
        command, start_new_session=own, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(not os.path.exists(AUTOGROUP), reason="this Linux has no autogroups")
def test_root_has_it_in_a_session_of_its_own_and_nobody_in_the_session_of_others() -> None:
    mine = Path(AUTOGROUP).read_text()
    assert asked(own=False).startswith("False")
    assert Path(AUTOGROUP).read_text() == mine
    granted, group = asked(own=True).split(" ", 1)
    assert (granted == "True") is ("nice -15" in group)
    assert granted == "True" or os.geteuid() != 0


def test_a_linux_without_autogroups_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda pid: os.getpid())
    assert not prefer_own_session("/nowhere/autogroup")
