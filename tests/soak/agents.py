"""The agents that do nothing wrong, each a program by itself. Pure text."""

from __future__ import annotations

__all__ = ["CHILD", "LATENCY", "PARENT"]

CHILD = '''
"""Answers what its parent sends."""
from clove import CloveClient

with CloveClient() as kernel:
    while True:
        for mail in kernel.recv_messages(wait=30, max=100)["messages"]:
            if mail["from_name"] == "healthy":
                try:
                    kernel.send_message({"echo": mail["message"]}, mail["from_id"])
                except Exception as error:  # it is its parent's to tell
                    kernel.store("healthy-child-error", repr(error)[:300])
'''

_SUMMARY = """
def summary(values):
    ordered = sorted(values) or [0.0]
    most = len(ordered) - 1
    return {"count": len(values), "p50": ordered[most // 2], "p99": ordered[most * 99 // 100], "max": ordered[-1]}
"""

PARENT = (
    '''
"""Works with its child, round after round, for as long as it is told; prints what it saw."""
import json, sys, time
from clove import CloveClient

child, seconds, thinks = sys.argv[-3], float(sys.argv[-2]), sys.argv[-1] == "thinks"
times, errors = [], []
kernel = CloveClient()
with open("/workspace/child.py", "w") as file:
    file.write(child)
kernel.spawn("healthy-child", "/workspace/child.py", permissions={"can_http": False})


def exchange(number):
    kernel.send_message({"number": number}, to_name="healthy-child")
    end = time.monotonic() + 30
    while time.monotonic() < end:  # what hostile agents send is thrown away
        for mail in kernel.recv_messages(wait=5, max=100)["messages"]:
            if mail["from_name"] == "healthy-child" and mail["message"]["echo"]["number"] == number:
                return
    raise TimeoutError(f"the child did not answer; its last error: {kernel.fetch('healthy-child-error')['value']}")


def work(number):
    exchange(number)
    kernel.store("healthy", number, scope="agent")
    assert kernel.fetch("healthy")["value"] == number
    if number % 5 == 0:
        kernel.write_file("/workspace/file", str(number))
        assert kernel.read_file("/workspace/file")["content"] == str(number)
    if number % 20 == 0:
        assert kernel.exec("echo fine", timeout=30)["stdout"] == "fine\\n"
        if thinks:
            kernel.think("Is all well?")
        kernel.get_agent_metrics()


number, ends = 0, time.monotonic() + seconds
while time.monotonic() < ends:
    number += 1
    start = time.perf_counter()
    try:
        work(number)
    except Exception as error:
        errors.append(f"round {number}: {type(error).__name__}: {error}"[:300])
    times.append((time.perf_counter() - start) * 1e6)
    time.sleep(0.02)
'''
    + _SUMMARY
    + 'print(json.dumps({"work": summary(times), "errors": errors[:20], "failed": len(errors)}))\n'
)

LATENCY = (
    '''
"""A request that the kernel only sends back, and the same to a server that does nothing else, in turn."""
import json, socket, sys, time
from clove import CloveClient
from clove.framing import HEADER_SIZE, Opcode, encode

path, echo, seconds = sys.argv[1:]
frame = encode(0, Opcode.NOOP, b"")


def trip(connection):
    start = time.perf_counter()
    connection.sendall(frame)
    left = HEADER_SIZE
    while left:
        piece = connection.recv(left)
        if not piece:
            raise ConnectionError("closed")
        left -= len(piece)
    return (time.perf_counter() - start) * 1e6


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(path)
    return connection


paths = {"kernel": path, "echo": echo} if echo else {"kernel": path}
found, errors = {name: [] for name in paths}, []
trips = {name: connect(path) for name, path in paths.items()}
ends = time.monotonic() + float(seconds)
while time.monotonic() < ends:
    for name in trips:
        try:
            found[name].append(trip(trips[name]))
        except OSError as error:
            errors.append(f"{name}: {type(error).__name__}: {error}")
            trips[name] = connect(paths[name])
    time.sleep(0.002)
'''
    + _SUMMARY
    + "found = {name: summary(values) for name, values in found.items()}\n"
    + 'print(json.dumps({**found, "errors": errors[:20], "failed": len(errors)}))\n'
)
