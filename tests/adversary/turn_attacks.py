"""What an agent sends to keep the reactor in one turn: code that it runs, by name."""

from __future__ import annotations

__all__ = ["ATTACKS", "PROLOGUE"]

PROLOGUE = """
import json, os, select, socket, sys, time
from clove.framing import HEADER, TAG, Opcode, encode

path = os.environ["CLOVE_SOCKET"]

def connected(count):
    ones = []
    for _ in range(count):
        one = socket.socket(socket.AF_UNIX)
        one.connect(path)
        one.settimeout(20)
        ones.append(one)
    return ones

def pump(work, seconds=4):
    "Send to each connection what it is given, and read all that comes."
    end = time.monotonic() + seconds
    for one in work:
        one.setblocking(False)
    left = {one: memoryview(data) for one, data in work.items()}
    while time.monotonic() < end and any(left.values()):
        writers = [one for one, data in left.items() if data]
        for one in select.select(work, [], [], 0)[0]:
            try:
                one.recv(1 << 18)
            except OSError:
                pass
        for one in select.select([], writers, [], 0.1)[1]:
            try:
                left[one] = left[one][one.send(left[one]):]
            except BlockingIOError:
                pass
            except OSError:
                left[one] = memoryview(b"")

def asked(opcode, request):
    "One request, version 1; its answer."
    [one] = connected(1)
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    one.sendall(encode(0, opcode, body))
    with one.makefile("rb") as stream:
        head = stream.read(HEADER.size)
        if len(head) < HEADER.size:
            return b"closed"
        return stream.read(HEADER.unpack(head)[3])

def tagged(count):
    "Connections of version 2."
    ones = connected(count)
    for one in ones:
        one.sendall(encode(0, Opcode.HELLO, b'{"protocol_version":2}'))
        one.recv(1 << 16)
    return ones

def child():
    "The name of an agent below this one that only sleeps."
    with open("/workspace/child.py", "w") as file:
        file.write("import time; time.sleep(600)")
    name = f"{me}-{time.monotonic_ns()}"
    asked(Opcode.SPAWN, {"name": name, "script": "/workspace/child.py"})
    return name

def outstanding(count, each, opcode, request):
    "Connections with so many requests in work."
    ones = tagged(count)
    body = json.dumps(request).encode()
    for one in ones:
        one.sendall(b"".join(
            encode(0, opcode, TAG.pack(number) + body) for number in range(1, each + 1)))
    time.sleep(0.5)
    return ones
"""

ATTACKS = {
    "noops on sixty connections": (
        "pump({one: encode(0, 0, b'') * 10000 for one in connected(60)})"
    ),
    "large frames on sixty connections": (
        "pump({one: encode(0, 0, bytes(1 << 20)) * 2 for one in connected(60)})"
    ),
    "stores on sixty connections": """
frame = encode(0, Opcode.STORE, b'{"key":"k","value":1}')
pump({one: frame * 500 for one in connected(60)})
""",
    "sixty connections are left at once": """
for _ in range(3):
    ones = connected(60)
    for one in ones:
        one.sendall(encode(0, 0, b"x"))
        one.recv(100)
    for one in ones:
        one.close()
    time.sleep(0.5)
""",
    "connections with requests in work are left at once": """
for opcode, request in (
    (Opcode.WAIT, {"name": child(), "timeout": 600}),
    (Opcode.RECV, {"wait": 600}),
):
    ones = outstanding(31, 250, opcode, request)  # twice, within an agent's 64: a busy kernel may
    for one in ones:  # not have seen yet that the first are closed
        one.close()
    time.sleep(0.3)
""",
    "an agent ends that has much in work": """
ones = outstanding(60, 250, Opcode.WAIT, {"name": child(), "timeout": 600})
os.kill(os.getpid(), 9)
""",
    "an event is told to all who want it": """
ones = tagged(60)
body = json.dumps({"all": True, "push": True}).encode()
for one in ones:
    one.sendall(encode(0, Opcode.SUBSCRIBE, TAG.pack(1) + body))
frames = b"".join(
    encode(0, Opcode.EMIT, TAG.pack(number) + b'{"event_type":"x","data":{"x":"' + b"y" * 60000
        + b'"}}') for number in range(2, 30))
pump({one: frames for one in ones}, 3)
""",
    "newlines": """
for _ in range(40):
    os.write(1, b"\\n" * 65536)
""",
    "many audit entries": """
frame = encode(0, Opcode.READ, json.dumps({"path": "/" + "x" * 3000}).encode())
pump({one: frame * 100 for one in connected(10)})
for _ in range(5):
    asked(Opcode.GET_AUDIT_LOG, {"limit": 1000})
""",
    "many keys": """
[one] = connected(1)
pump({one: b"".join(encode(0, Opcode.STORE, json.dumps({
    "key": f"{number:05}" + "k" * 400, "value": 1}).encode()) for number in range(9900))}, 15)
for _ in range(5):
    asked(Opcode.KEYS, {})
""",
    "all metrics": """
for _ in range(20):
    asked(Opcode.LIST, {})
    asked(Opcode.METRICS_ALL_AGENTS, {})
""",
}

VALUES = {
    "lists": '"[" + ",".join(["[]"] * 340000) + "]"',
    "numbers": '"[" + ",".join(["1"] * 520000) + "]"',
    "objects": '"[" + ",".join(["{}"] * 340000) + "]"',
    "names": '"{" + ",".join(f\'"{n:x}":1\' for n in range(100000)) + "}"',
    "far numbers": '"[" + ",".join(["1e308"] * 170000) + "]"',
    "numbers halfway": '"[" + ",".join(["1e23"] * 190000) + "]"',
    "whole numbers": '"[" + ",".join(["1" * 4000] * 260) + "]"',
    "fractions": '"[" + ",".join(["0.123456789"] * 85000) + "]"',
    "nested": '"[" * 900 + "]" * 900',
    "a text of escapes": "'\"' + '\\\\u00e9' * 170000 + '\"'",
    "texts": "'[' + ','.join(['\"aé\"'] * 140000) + ']'",
}
REQUESTS = {
    "STORE": '{"key": "k", "value": %s}',
    "BROADCAST": '{"message": %s}',
    "EMIT": '{"event_type": "x", "data": %s}',
    "SPAWN": '{"name": "n", "script": "/workspace/s.py", "permissions": {"level": %s}}',
    "SET_PERMS": '{"permissions": {"allowed_read_paths": %s}}',
    "WHY": '{"syscall": "READ", "arguments": {"path": %s}}',
    "THINK": '{"prompt": "x", "tools": [{"name": "x", "parameters": {"x": %s}}]}',
    "REPLAY_START": '{"recording": %s}',
    "READ": '{"x": %s}',
}
_ASKED = """
value = {value}
request = {request!r}.replace("%s", value).encode()
print("{name}", asked(Opcode.{name}, request)[:150])
"""
for kind, value in VALUES.items():
    ATTACKS[f"requests with {kind}"] = "".join(
        _ASKED.format(value=value, request=request, name=name) for name, request in REQUESTS.items()
    )
