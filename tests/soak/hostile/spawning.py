"""Children: their interpreters, their number, their restarts, their rules."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading

from clove.errors import CloveError
from tests.soak.hostile.frame import W, Way, attack

IDLE = "import time\ntime.sleep(20)\n"
EXCHANGE = 2
"""Of renameat2(2)."""


def planted(way: Way, home: str = "") -> str:
    """A virtual environment of our own, by its path on the host; its configuration is the attack."""
    with open("/proc/self/mountinfo") as file:
        mounts = file.read().splitlines()
    host = next(line.split()[3] for line in mounts if line.split()[4] == W)
    name = way.name()
    place = f"{W}/{name}"
    os.chmod(W, 0o755)
    os.makedirs(f"{place}/bin")
    os.symlink("/usr/bin/python3", f"{place}/bin/python")
    if home:
        with open(f"{place}/pyvenv.cfg", "w") as file:
            file.write(f"home = {home}\n")
    way.held.append(place)
    return way.dice.choice([f"{host}/{name}", place])


def spawn_all(way: Way, python: str) -> None:
    """Ask for eight children at once with this interpreter."""

    def one() -> None:
        with contextlib.suppress(CloveError, OSError):
            way.child("print(1)", python=python)

    threads = [threading.Thread(target=one, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    way.rest()


@attack
def an_interpreter_beside_a_fifo(way: Way) -> None:
    place = planted(way)
    os.mkfifo(f"{way.held[-1]}/pyvenv.cfg")
    spawn_all(way, f"{place}/bin/python")


@attack
def an_interpreter_beside_an_endless_file(way: Way) -> None:
    place = planted(way)
    os.symlink("/dev/zero", f"{way.held[-1]}/pyvenv.cfg")
    spawn_all(way, f"{place}/bin/python")


@attack
def an_interpreter_that_is_a_fifo(way: Way) -> None:
    os.mkfifo(f"{W}/{(name := way.name())}")
    spawn_all(way, f"{W}/{name}")


@attack
def an_interpreter_with_an_exchanged_home(way: Way) -> None:
    one, other = f"{W}/{way.name()}", f"{W}/{way.name()}"
    os.makedirs(f"{one}/bin")
    os.symlink("/etc", other)
    place = planted(way, f"{one}/bin")
    swap = ctypes.CDLL(None).renameat2
    ended = threading.Event()

    def exchange() -> None:
        while not ended.is_set():
            swap(-100, one.encode(), -100, other.encode(), EXCHANGE)

    threading.Thread(target=exchange, daemon=True).start()
    spawn_all(way, f"{place}/bin/python")
    ended.set()


@attack
def an_interpreter_of_the_host(way: Way) -> None:
    for python in ("/etc/shadow", "/proc/1/exe", "/", "relative", "/root/.local/bin/python3"):
        with contextlib.suppress(CloveError):
            way.child("print(1)", python=python)


@attack
def a_script_that_is_a_fifo(way: Way) -> None:
    os.mkfifo(f"{W}/{(name := way.name())}")
    for _ in range(8):
        with contextlib.suppress(CloveError):
            way.client().spawn(way.name(), f"{W}/{name}", permissions={"can_http": False})


@attack
def children_until_refused(way: Way) -> None:
    with contextlib.suppress(CloveError):
        while way.goes_on():
            way.child(IDLE, permissions="minimal")


@attack
def children_that_are_restarted(way: Way) -> None:
    with contextlib.suppress(CloveError):
        for _ in range(10):
            often = {"max_restarts": 1_000_000, "restart_window": 1e-9}
            way.child("", restart_policy="always", permissions="minimal", **often)
    way.rest()


@attack
def children_that_cannot_be_killed(way: Way) -> None:
    stubborn = "import signal, time\nsignal.pthread_sigmask(0, range(1, 65))\ntime.sleep(60)\n"
    reply = way.child(stubborn, limits={}, permissions="minimal")
    way.client().kill(reply["id"])


@attack
def grandchildren(way: Way) -> None:
    text = """
import sys
from clove import CloveClient
depth = int(sys.argv[-1])
if depth:
    c = CloveClient()
    c.spawn(f"g{c.agent_id}", sys.argv[0], args=[str(depth - 1)], permissions={"can_spawn": True})
import time
time.sleep(3)
"""
    way.child(text, "12", permissions={"can_spawn": True})
    way.rest()


@attack
def all_children_killed(way: Way) -> None:
    client = way.client()
    mine = [agent for agent in client.list_agents() if agent["parent_id"] == client.agent_id]
    for agent in mine:
        with contextlib.suppress(CloveError):
            client.kill(agent["id"])


@attack
def others_killed_and_narrowed(way: Way) -> None:
    """All of it is refused."""
    client = way.client()
    for agent in client.list_agents():
        if client.agent_id in (agent["id"], agent["parent_id"]):
            continue
        for forbidden in (client.kill, client.pause, client.logs):
            with contextlib.suppress(CloveError):
                forbidden(agent["id"])
        with contextlib.suppress(CloveError):
            client.set_permissions(level="minimal", agent_id=agent["id"])


@attack
def rules_that_cost(way: Way) -> None:
    """A child gives itself many patterns, and asks for long paths."""
    text = """
import json, os, socket, time
from clove import CloveClient
from clove.errors import CloveError
from clove.framing import Opcode, encode
c = CloveClient()
for shape in (f"/w/**/[a-z]?*{{}}/**/x*?*?*?*y/**/z", "/workspace/" + "*a" * 20 + "{}/*"):
    try: c.set_permissions(permissions={"allowed_read_paths": [shape.format(i)[:63] for i in range(128)]})
    except CloveError: pass
message = encode(0, Opcode.READ, json.dumps({"path": "/w/" + "a/x1111y/" * 400 + "z"}).encode())
many = []
for _ in range(20):
    k = socket.socket(socket.AF_UNIX); k.connect(os.environ["CLOVE_SOCKET"]); k.setblocking(False)
    many.append(k)
end = time.monotonic() + 3
while time.monotonic() < end:
    for k in many:
        try: k.send(message * 5)
        except OSError: pass
        try: k.recv(1 << 18)
        except OSError: pass
    time.sleep(0.02)
"""
    way.child(text, permissions={"can_http": False})
    way.rest()


@attack
def rules_set_again_and_again(way: Way) -> None:
    reply = way.child(IDLE)
    client = way.client()
    while way.goes_on():
        shape = f"{W}/" + "*a" * way.dice.randint(1, 20)
        rules = [f"{shape}{number}/*"[:63] for number in range(127)]
        with contextlib.suppress(CloveError):
            client.set_permissions(permissions={"allowed_paths": rules}, agent_id=reply["id"])


@attack
def big_requests_for_children(way: Way) -> None:
    for _ in range(10):
        with contextlib.suppress(CloveError):
            way.child(IDLE, *["x" * 10_000] * 50, env={f"V{n}": "y" * 1000 for n in range(200)})
