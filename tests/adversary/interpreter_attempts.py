"""Run in an agent that may spawn: children whose `python` is to show them more than it may.

Facts: `secret`, a directory of the host; `tries`, how often each race is run.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from clove import CloveClient
from clove.errors import CloveError

FACTS = json.loads(sys.argv[-1])
HERE = "/workspace"
RENAMEAT2 = 316
with open("/proc/self/mountinfo") as mounts:
    HOST = next(line.split()[3] for line in mounts if line.split()[4] == HERE)
CHILD = """
import json, os, sys
found = {}
for path in (%r, *sys.argv[2:]):
    try:
        found[path] = sorted(os.listdir(path))
    except OSError as error:
        found[path] = error.errno
print(json.dumps({"prefix": sys.prefix, "found": found}))
"""
os.umask(0o022)
os.chmod(HERE, 0o755)
client = CloveClient()
MESSAGES: list[str] = []
numbers = iter(range(10**6))


def venv(name: str, home: str = "/usr/bin") -> str:
    place = f"{HERE}/{name}"
    os.makedirs(f"{place}/bin")
    os.makedirs(f"{place}/lib/python3.99")
    os.symlink("/usr/bin/python3", f"{place}/bin/python")
    with open(f"{place}/pyvenv.cfg", "w") as file:
        file.write(f"home = {home}\n")
    return place


def spawned(python: str, *args: str, **fields: Any) -> Any:
    """What a child tells, or the code with which SPAWN is refused."""
    fields.setdefault("permissions", {"can_http": False})
    try:
        reply = client.spawn(
            f"{os.getpid()}-{next(numbers)}", CHILD_FILE, python=python, args=list(args), **fields
        )
    except CloveError as error:
        MESSAGES.append(str(error))
        return error.code
    client.wait(reply["id"], timeout=30)
    text = "".join(
        line["text"] + "\n"
        for line in client.logs(reply["id"])["lines"]
        if line["stream"] in (1, "stdout")
    )
    return json.loads(text) if text.strip() else "said nothing"


@contextlib.contextmanager
def exchanging(one: str, other: str) -> Iterator[None]:
    """Two names that are exchanged as fast as can be."""
    libc = ctypes.CDLL(None)
    pid = os.fork()
    if not pid:
        while True:
            libc.syscall(RENAMEAT2, -100, one.encode(), -100, other.encode(), 2)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def races() -> dict[str, list[str]]:
    """Every directory on the way to an interpreter, in turn, is one and a link to the secret."""
    found = {}
    base = venv("base")
    os.remove(f"{base}/pyvenv.cfg")
    os.remove(f"{base}/bin/python")
    os.symlink("/usr/bin/python3", f"{base}/bin/python")
    places = {
        "home": (f"{base}/bin", venv("by-home", f"{base}/bin")),
        "base": (base, venv("by-base", f"{base}/bin")),
        "venv": (venv("by-venv"), f"{HERE}/by-venv"),
        "bin": (f"{venv('by-bin')}/bin", f"{HERE}/by-bin"),
        "lib": (f"{venv('by-lib')}/lib", f"{HERE}/by-lib"),
        "named by the host": (f"{venv('by-host')}/lib", f"{HOST}/by-host"),
    }
    for name, (changed, used) in places.items():
        other = f"{HERE}/other"
        os.symlink(FACTS["secret"], other)
        told: set[str] = set()
        with exchanging(changed, other):
            for _ in range(FACTS["tries"]):
                answer = spawned(f"{used}/bin/python", changed)
                if isinstance(answer, str):
                    told.add(answer)
                else:
                    listings = [one for one in answer["found"].values() if isinstance(one, list)]
                    told.add("SEEN" if any("key" in one for one in listings) else "ran")
        for path in (changed, other):
            if os.path.islink(path):
                os.remove(path)
        if not os.path.isdir(changed):
            os.rename(other, changed)
        found[name] = sorted(told)
    return found


def configs() -> dict[str, list[str]]:
    """What may stand where a small file is read."""
    found = {}
    for name in ("fifo", "zero", "socket", "sparse", "directory"):
        place = venv(f"config-{name}")
        path = f"{place}/pyvenv.cfg"
        os.remove(path)
        if name == "fifo":
            os.mkfifo(path)
        elif name == "zero":
            os.symlink("/dev/zero", path)
        elif name == "socket":
            socket.socket(socket.AF_UNIX).bind(path)
        elif name == "sparse":
            with open(path, "w") as file:
                file.truncate(1 << 40)
        else:
            os.mkdir(path)
        began = time.monotonic()
        told = {spawned(f"{place}/bin/python") for _ in range(10)}
        assert time.monotonic() - began < 30
        found[name] = sorted(told)
    return found


def places() -> tuple[dict[str, Any], str]:
    """Where an interpreter is not taken from."""
    own = venv("own")
    os.makedirs("/tmp/py/bin")
    os.makedirs("/tmp/py/lib/python3.99")
    os.symlink("/usr/bin/python3", "/tmp/py/bin/python")
    with open("/tmp/py/pyvenv.cfg", "w") as file:
        file.write("home = /usr/bin\n")
    link = venv("link")
    os.rename(f"{link}/lib", f"{link}/other")
    os.symlink(FACTS["secret"], f"{link}/lib")
    named = {
        "the host's path": f"{HOST}/own/bin/python",
        "a private /tmp": "/tmp/py/bin/python",
        "a magic link": f"/proc/self/root{own}/bin/python",
        "no Python": "/usr/bin/dd",
        "the socket": "/tmp/clove.sock",
        "the secret": f"{FACTS['secret']}/bin/python",
        "nothing": "",
        "relative": "own/bin/python",
        "dots": f"{own}/../../proc/self/root/workspace/own/bin/python",
        "a NUL": f"{own}/bin/python\0",
        "too long": "/" + "a/" * 3000 + "python",
    }
    found = {name: spawned(python, FACTS["secret"]) for name, python in named.items() if python}
    found["a link"] = spawned(f"{link}/bin/python", f"{link}/lib")
    return found, link


def usual() -> dict[str, Any]:
    """What goes on to work."""
    place = venv("usual")
    with open(f"{place}/secret", "w") as file:
        file.write("beside the installation")
    return {
        name: spawned(python, place, HERE)
        for name, python in {
            "mine": sys.executable,
            "system": "/usr/bin/python3",
            "by name": "python3",
            "venv": f"{place}/bin/python",
            "dots": f"{HERE}/./usual/../usual/bin/python",
        }.items()
    }


def limited() -> dict[str, Any]:
    """A child that may run nothing of its own, by a program that it could exchange."""
    place = venv("limited")
    os.remove(f"{place}/bin/python")
    with open(f"{place}/bin/python", "wb") as file, open("/usr/bin/python3", "rb") as source:
        file.write(source.read())
    os.chmod(f"{place}/bin/python", 0o755)
    python = f"{place}/bin/python"
    return {
        "free": spawned(python),
        "child limited": spawned(python, permissions={"can_exec": False}),
        "system's": spawned("/usr/bin/python3", permissions={"can_exec": False}),
    }


def restarts() -> dict[str, Any]:
    """A child that ends and is started again, when its library is a link to the secret."""
    place = venv("again")
    reply = client.spawn(
        "again",
        CHILD_FILE,
        python=f"{place}/bin/python",
        args=[f"{place}/lib"],
        permissions={"can_http": False},
        restart_policy="always",
        max_restarts=2,
    )
    lines: list[Any] = []
    deadline = time.monotonic() + 20
    while not lines and time.monotonic() < deadline:
        lines = client.logs(reply["id"])["lines"]
        time.sleep(0.01)
    os.rename(f"{place}/lib", f"{place}/old")
    os.symlink(FACTS["secret"], f"{place}/lib")
    ended = client.wait(reply["id"], timeout=30)
    lines = [one for one in client.logs(reply["id"])["lines"] if one["text"].startswith("{")]
    first = json.loads(lines[0]["text"])["found"][f"{place}/lib"]
    return {"first": first, "listings": len(lines), "state": ended["reason"]}


CHILD_FILE = f"{HERE}/child.py"
with open(CHILD_FILE, "w") as file:
    file.write(CHILD % FACTS.get("secret", "/nonexistent"))
print(json.dumps({"told": globals()[FACTS["what"]](), "messages": MESSAGES[-400:]}))
