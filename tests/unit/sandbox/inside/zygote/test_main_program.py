"""The waiting process of a main program, without the sandbox around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

AS_PROCESS_1 = """
import json, os, socket, sys
from clove.sandbox.inside import program
from clove.sandbox.inside.control import Channel
from clove.sandbox.inside.zygote import process_title
from clove.sandbox.inside.zygote.main_program import MainProgram, fork

process_title.learn("/proc")
kernel, inner = (Channel(end.detach()) for end in socket.socketpair(type=socket.SOCK_SEQPACKET))
main = fork(inner, sys.path, lambda: None)
assert isinstance(main, MainProgram), "it has run on without a word"
said, _ = kernel.receive()
{conversation}
pid, reader = main.started
main.link.close()
reason = program.result(reader)
_, status = os.waitpid(pid, 0)
print(json.dumps([said["op"], said["id"], reason, os.waitstatus_to_exitcode(status)]))
"""
SPEC = {
    "argv": [sys.executable, "/none.py"],
    "env": {},
    "namespaces": ["user"],
    "inside_uid": os.geteuid(),
}


def ended(conversation: str) -> Any:
    """Its first word, what it failed with, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", AS_PROCESS_1.format(conversation=conversation)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_that_was_not_wanted_goes() -> None:
    assert ended("") == ["pid", 0, None, 0]


@pytest.mark.parametrize("root", [[0, 0], [os.stat("/").st_dev, 1 << 40]])
def test_it_runs_nothing_in_another_root_than_that_of_process_1(root: list[int]) -> None:
    said = f"main.link.send({SPEC!r})\nmain.link.send({{'root': {root}}})"
    [_, _, reason, code] = ended(said)
    assert (reason["step"], code) == ("user", 127)


def test_without_process_1_it_runs_nothing() -> None:
    assert ended(f"main.link.send({SPEC!r})") == ["pid", 0, None, 1]


def test_process_1_goes_on_when_it_has_failed() -> None:
    said = f"main.link.send({SPEC!r})\nmain.link.send({{'root': [0, 0]}})\n"
    said += "os.waitid(os.P_PID, main.started[0], os.WEXITED | os.WNOWAIT)\nmain.run(0)"
    [_, _, reason, _] = ended(said)
    assert reason["step"] == "user"
