"""What an agent runs to take all that it can get of one shared resource, and what others do then.

Each flood is code for an agent: it holds what it took, and leaves in `found` how it was refused.
Each use is code for an agent of another family, or of the operator: it leaves "served".
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLOODS", "PROLOGUE", "Flood"]

PROLOGUE = """
import json, os, socket, sys, threading, time
from clove import CloveClient
from clove.errors import CloveError
from clove.framing import HEADER, TAG, Opcode, encode

path = os.environ.get("CLOVE_SOCKET") or sys.argv[1]

def many(ask, most):
    "Ask in so many threads at once; the first refusal, and all that is served goes on."
    refused, told = [], threading.Event()
    def one():
        try:
            with CloveClient(path) as client:
                ask(client)
        except CloveError as error:
            refused.append(error.message)
            told.set()
    for _ in range(most):
        threading.Thread(target=one, daemon=True).start()
    told.wait(15)
    return refused[0] if refused else "none refused"

def again(ask, most):
    "Ask again and again; the first refusal."
    with CloveClient(path) as client:
        for number in range(most):
            try:
                ask(client, number)
            except CloveError as error:
                return error.message
    return "none refused"

held = []

def connected():
    one = socket.socket(socket.AF_UNIX)
    one.connect(path)
    one.settimeout(15)
    held.append(one)
    return one

def told(one):
    "An error that comes unasked, or an empty text after a while."
    one.settimeout(0.5)
    try:
        reply = one.recv(1 << 16)
    except TimeoutError:
        return ""
    return json.loads(reply[HEADER.size:])["error"]

def flood(opcode, request, seconds=10, most=8, each=100):
    "Requests on many connections, for ever; the first refusal."
    refused, full = [], threading.Event()
    body = json.dumps(request).encode()
    def ask():
        one = connected()
        one.sendall(encode(0, Opcode.HELLO, b'{"protocol_version":2}'))
        one.recv(1 << 16)
        number = 0
        def send(count):
            nonlocal number
            frames = []
            for _ in range(count):
                number += 1
                frames.append(encode(0, opcode, TAG.pack(number) + body))
            one.sendall(b"".join(frames))
        send(each)
        while data := one.recv(1 << 18):
            if b"limit_exceeded" in data and not refused:
                at = data.index(b'"error":"') + 9
                refused.append(data[at : data.index(b'"', at)].decode())
                full.set()
            send(data.count(b'"success":'))
    def until_closed():
        try:
            ask()
        except OSError:
            pass
    for _ in range(most):
        threading.Thread(target=until_closed, daemon=True).start()
    full.wait(seconds)
    return refused[0] if refused else "none refused"
"""


@dataclass(frozen=True)
class Flood:
    """One resource.

    @ivar code: what takes it.
    @ivar refusal: part of what the flood is told when it has its share; empty: it is only slowed.
    @ivar use: how others use it.
    """

    code: str
    refusal: str
    use: str


SMALL = "open('/workspace/f', 'w').write('x')\n"
SPAWN = """
name = f"child-{os.getpid()}-{time.time_ns()}"
with CloveClient(path) as client:
    script = globals().get("script") or "/workspace/s.py"
    if script == "/workspace/s.py":
        open(script, "w").write("import time; time.sleep(60)")
    client.spawn(name, script, permissions="minimal")
found = "served"
"""
READ = """
with CloveClient(path) as client:
    client.write_file(place, "x")
    found = "served" if client.read_file(place)["content"] == "x" else "not"
"""

FLOODS = {
    "commands": Flood(
        "found = many(lambda client: client.exec('sleep 60', timeout=60), 12)",
        "commands running",
        "with CloveClient(path) as client: client.exec('true'); found = 'served'",
    ),
    "agents": Flood(
        "open('/workspace/s.py', 'w').write('import time; time.sleep(60)')\n"
        "found = again(lambda client, n: client.spawn("
        "f'hog-{n}', '/workspace/s.py', permissions='minimal'), 40)",
        "agents",
        SPAWN,
    ),
    "threads": Flood(
        SMALL + "found = flood(Opcode.READ, {'path': '/workspace/f'})",
        "too many file operations of this agent, or of its family|files at once in one sandbox",
        READ,
    ),
    "metrics": Flood(
        "found = flood(Opcode.METRICS_AGENT, {}, 1)",
        "",
        "with CloveClient(path) as client: client.get_agent_metrics(); found = 'served'",
    ),
    "keys": Flood(
        "found = again(lambda client, n: client.store(f'hog-{n}', n), 1000)",
        "keys, its share is",
        "with CloveClient(path) as client: client.store(f'mine-{os.getpid()}', 1); found = 'served'",
    ),
    "bytes of keys": Flood(
        "found = again(lambda client, n: client.store('hog-%d' % n, 'x' * 100_000), 1000)",
        "bytes of keys, its share is",
        "with CloveClient(path) as client: client.store(f'mine-{os.getpid()}', 'x' * 100_000); "
        "found = 'served'",
    ),
    "mailboxes": Flood(
        "found = again(lambda client, n: client.send_message('x' * 60_000, to='sink'), 1000)",
        "bytes of unread messages",
        "with CloveClient(path) as client: client.send_message('x' * 60_000, to='sink'); "
        "found = 'served'",
    ),
    "asynchronous requests": Flood(
        "found = again(lambda client, n: client.exec("
        "'sleep 60', timeout=60, stdin='x' * 100_000, async_=True), 20)",
        "bytes of asynchronous requests",
        "with CloveClient(path) as client:\n"
        "    client.exec('true', stdin='x' * 100_000, async_=True)\n"
        "found = 'served'",
    ),
    "connections": Flood(
        "words = (told(connected()) for _ in range(64))\n"
        "[connected() for _ in range(28)]\n"
        "found = next((text for text in words if text), 'none refused')",
        "connections, its share is",
        "with CloveClient(path) as client: client.noop(b'x'); found = 'served'",
    ),
    "buffers": Flood(
        "frame = encode(0, Opcode.STORE, bytes(1 << 20))[:900_000]\n"
        "def part():\n"
        "    one = connected()\n"
        "    try:\n"
        "        one.sendall(frame)\n"
        "    except OSError:\n"
        "        pass\n"
        "    return told(one)\n"
        "found = next((text for text in (part() for _ in range(8)) if text), 'none refused')",
        "bytes waiting on connections",
        "with CloveClient(path) as client: client.store('large', 'x' * 300_000); found = 'served'",
    ),
    "requests": Flood(
        "found = many(lambda client: client.http(f'http://slow.test:{port}/', timeout=60), 12)",
        "HTTP requests",
        "try:\n"
        "    with CloveClient(path) as client: client.http('http://slow.test:1/')\n"
        "except CloveError as error:\n"
        "    found = error.message if error.code == 'limit_exceeded' else 'served'",
    ),
}
