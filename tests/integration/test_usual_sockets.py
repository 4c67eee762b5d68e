"""A kernel and a client that are told nothing find each other, and leave the contract's place.

In mount and user namespaces of their own, where /run, /tmp and /var/lib are empty.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import READY_SECONDS

CLOVE = str(Path(sys.executable).with_name("clove"))
TWISTD = str(Path(sys.executable).with_name("twistd"))
PROGRAM = """
import json, os, socket, stat, subprocess, sys, time

twistd, clove, config = sys.argv[1:4]
tree = twistd.split("/.venv/")[0]
held = f"/proc/{os.getpid()}/fd/{os.open(tree, os.O_PATH)}"
for path in ("/run", "/tmp", "/var/lib"):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", path], check=True)
os.chmod("/tmp", 0o1777)
if not os.path.exists(tree):  # it lies in one of these
    os.makedirs(tree)
    subprocess.run(["mount", "--no-canonicalize", "--bind", held, tree], check=True)
os.environ.pop("CLOVE_SOCKET", None)
if "planted" in sys.argv:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind("/tmp/clove.sock")
    os.chown("/tmp/clove.sock", 54321, 54321)
with open("/tmp/config", "w") as file:
    file.write(config)
words = [twistd, "-n", "--pidfile=", "clove-kernel", "--config", "/tmp/config"]
with open("/tmp/log", "wb") as log:
    kernel = subprocess.Popen(words, stdout=log, stderr=log, cwd="/tmp")
said = b""
end = time.monotonic() + float(sys.argv[4])
while b"answers on" not in said and kernel.poll() is None and time.monotonic() < end:
    time.sleep(0.05)
    said = open("/tmp/log", "rb").read()

def ps(*options):
    ran = subprocess.run([clove, *options, "--json", "ps"], capture_output=True, text=True)
    return [ran.returncode, ran.stdout + ran.stderr]

found = {"usual": ps(), "contract": ps("--socket", "/tmp/clove.sock")}
for path in ("/run/clove", "/run/clove/clove.sock", "/tmp/clove.sock"):
    if os.path.lexists(path):
        facts = os.lstat(path)
        found[path] = [stat.filemode(facts.st_mode), facts.st_uid]
kernel.terminate()
found["exit"] = kernel.wait(30)
found["left"] = [p for p in ("/run/clove/clove.sock", "/tmp/clove.sock") if os.path.lexists(p)]
found["log"] = open("/tmp/log").read()
print(json.dumps(found))
"""
needs_namespaces = pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare")


def found(*words: str, config: str = "") -> dict[str, Any]:
    """What is seen of a kernel that is told nothing."""
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    program = [sys.executable, "-c", PROGRAM, TWISTD, CLOVE, config, str(READY_SECONDS), *words]
    environ = {**os.environ, "GEMINI_API_KEY": "", "GOOGLE_API_KEY": ""}
    ran = subprocess.run([*unshare, *program], capture_output=True, text=True, env=environ)
    if ran.returncode and "unshare" in ran.stderr:
        pytest.skip(f"no namespaces here: {ran.stderr[-200:]}")
    assert ran.returncode == 0, ran.stderr
    seen: dict[str, Any] = json.loads(ran.stdout)
    assert "Traceback" not in seen["log"], seen["log"]
    return seen


@needs_namespaces
def test_both_find_each_other_and_the_contracts_socket_is_there_as_well() -> None:
    seen = found()
    assert (seen["usual"][0], seen["contract"][0]) == (0, 0), seen
    assert seen["/run/clove"] == ["drwxr-xr-x", 0]
    assert seen["/run/clove/clove.sock"] == ["srw-------", 0]
    assert seen["/tmp/clove.sock"] == ["srw-------", 0]
    assert seen["exit"] in (0, -15)
    assert seen["left"] == []
    assert "answers on /run/clove/clove.sock, /tmp/clove.sock" in seen["log"]


@needs_namespaces
def test_the_second_listener_can_be_left_out() -> None:
    seen = found(config='second_socket = ""\n')
    assert seen["usual"][0] == 0
    assert "/tmp/clove.sock" not in seen


@needs_namespaces
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a foreign socket")
def test_where_another_user_has_the_contracts_socket_that_is_said_loudly() -> None:
    seen = found("planted")
    assert seen["usual"][0] == 0, seen
    assert seen["/tmp/clove.sock"][1] == 54321, "it is left as it was"
    assert "/tmp/clove.sock is there and belongs to user id 54321" in seen["log"]
    assert "rm /tmp/clove.sock" in seen["log"]
    seen = found("planted", config="second_socket_required = true\n")
    assert (seen["exit"], seen["usual"][0]) == (1, 1)
    assert "belongs to user id 54321" in seen["log"]
