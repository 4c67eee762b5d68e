"""The kernel asks for a larger part of the processors where Linux divides them by session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clove.sandbox.inside.priority import AUTOGROUP, is_preferred, prefer_own_session

START = (
    "import os, subprocess, sys; from clove.sandbox.inside.priority import *; "
    "own = sys.argv[1] == 'True' and prefer_own_session(); "
    "print(own, subprocess.run([sys.executable, '-c', sys.argv[2]], start_new_session=True,"
    " capture_output=True, text=True, check=True).stdout)"
)
ASK_AS_PARENT = (
    "from clove.sandbox.inside.priority import *; print(prefer_as_parent(), open(AUTOGROUP).read())"
)
ASK = "from clove.sandbox.inside.priority import *; print(prefer_own_session(), open(AUTOGROUP).read())"


def asked(own: bool) -> str:
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(
        command, start_new_session=own, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(not os.path.exists(AUTOGROUP), reason="this Linux has no autogroups")
def test_root_has_it_in_a_session_of_its_own_and_no_process_in_the_session_of_others() -> None:
    mine = Path(AUTOGROUP).read_text()
    assert asked(own=False).startswith("False")
    assert Path(AUTOGROUP).read_text() == mine
    granted, group = asked(own=True).split(" ", 1)
    assert (granted == "True") is ("nice -20" in group)
    assert granted == "True" or os.geteuid() != 0


@pytest.mark.skipif(not os.path.exists(AUTOGROUP), reason="this Linux has no autogroups")
@pytest.mark.parametrize("preferred", [True, False])
def test_a_sandbox_in_the_making_has_what_its_kernel_has_and_no_more(preferred: bool) -> None:
    command = [sys.executable, "-c", START, str(preferred), ASK_AS_PARENT]
    done = subprocess.run(
        command, start_new_session=True, capture_output=True, text=True, check=True
    )
    kernels, made = done.stdout.split(" ", 1)
    assert made.startswith(kernels)
    assert ("nice -20" in made) is (kernels == "True")
    assert kernels == str(preferred and os.geteuid() == 0)


def test_a_linux_without_autogroups_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getsid", lambda pid: os.getpid())
    assert not prefer_own_session("/nowhere/autogroup")
    assert not is_preferred("/nowhere/autogroup")
