"""Run as an agent: takes all that it can get (row 26). Each attempt ends when it is stopped."""

import contextlib
import errno
import json
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

from clove import CloveClient
from clove.errors import CloveError
from tests.adversary.attempting import attempts, report

HEADER = struct.Struct("<IIBQ")
MAGIC = 0x41474E54
NOOP, EXEC, READ, SEND, SUBSCRIBE, EMIT = 0x00, 0x02, 0x03, 0x20, 0x60, 0x63


@contextlib.contextmanager
def connection() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(20)
        opened.connect(os.environ["CLOVE_SOCKET"])
        yield opened


def frame(opcode: int, payload: object) -> bytes:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return HEADER.pack(MAGIC, 0, opcode, len(body)) + body


def answer(opened: socket.socket) -> object:
    with opened.makefile("rb") as stream:
        head = stream.read(17)
        return json.loads(stream.read(HEADER.unpack(head)[3])) if len(head) == 17 else "closed"


def oversized(size: int) -> object:
    with connection() as opened:
        opened.sendall(HEADER.pack(MAGIC, 0, NOOP, size))
        reply = answer(opened)
        return [reply.get("code") if isinstance(reply, dict) else reply, opened.recv(1) == b""]


def deaf(data: bytes, most: int) -> object:
    """Ask again and again and never read; says whether it was held or closed."""
    sent = 0
    with connection() as opened:
        opened.settimeout(0.5)
        try:
            while sent < most:
                sent += opened.send(data[sent % len(data) :])
        except TimeoutError:
            return "held"
        except (BrokenPipeError, ConnectionResetError):
            return "closed"
    return "taken"


def connections() -> object:
    """As many as can be had; the next one's answer."""
    held: list[socket.socket] = []
    try:
        return _connect(held)
    finally:
        for opened in held:
            opened.close()
        _wait_for_room()


def _wait_for_room() -> None:
    """Until the kernel has seen that connections are closed: other attempts need one."""
    end = time.monotonic() + 60
    while True:
        try:
            with CloveClient() as client:
                client.noop()
            return
        except CloveError as error:
            if error.code != "limit_exceeded" or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _connect(held: list[socket.socket]) -> list[object]:
    for _ in range(1000):
        opened = socket.socket(socket.AF_UNIX)
        held.append(opened)
        opened.settimeout(20)
        try:
            opened.connect(os.environ["CLOVE_SOCKET"])
            with contextlib.suppress(BrokenPipeError):  # its answer is there all the same
                opened.sendall(frame(NOOP, b"x"))
            with opened.makefile("rb") as stream:
                head = stream.read(17)
                reply = stream.read(HEADER.unpack(head)[3])
        except OSError as error:
            return [len(held), errno.errorcode[error.errno or 0]]
        if reply != b"x":
            return [len(held), json.loads(reply)["code"]]
    return [len(held), "all"]


def sends() -> object:
    """To one that never reads: itself."""
    codes = set()
    with CloveClient() as client:
        for _ in range(3000):
            try:
                client.send_message("x" * 1000, to=client.agent_id)
            except CloveError as error:
                codes.add(error.code)
    return sorted(codes)


def stores() -> object:
    with CloveClient() as client:
        for number in range(1000):
            try:
                client.store(f"key-{number}", "x" * 500_000, scope="agent")
            except CloveError as error:
                return error.code
    return "all"


def results(client: CloveClient, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        found += client.poll_async(100)["results"]
        time.sleep(0.01)
    return found


def commands() -> object:
    """More at once than there may be."""
    with CloveClient() as client:
        for number in range(40):
            client.exec("sleep 50", async_=True, request_id=number)
        return sorted({json.loads(one["payload"])["code"] for one in results(client, 24)})


def descriptors() -> object:
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return [errno.errorcode[error.errno or 0], len(held) < 2000]


def passed_descriptors() -> object:
    """Sent along with requests: the kernel must not keep them."""
    with connection() as opened, open("/dev/null") as null:
        for _ in range(100):
            socket.send_fds(opened, [frame(NOOP, b"")], [null.fileno()] * 20)
            if not opened.recv(17):
                return "closed"
    return "served"


def forks() -> object:
    """A fork bomb whose children wait to be killed."""
    children: list[int] = []
    try:
        while len(children) < 2000:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except OSError as error:
        return [errno.errorcode[error.errno or 0], len(children)]
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return ["none", len(children)]


def threads() -> object:
    over = threading.Event()
    count = 0
    try:
        for _ in range(2000):
            threading.Thread(target=over.wait, daemon=True).start()
            count += 1
    except RuntimeError:
        return ["refused", count]
    finally:
        over.set()
    return ["none", count]


def memory() -> object:
    held = []
    try:
        for _ in range(64):
            held.append(bytearray(os.urandom(1 << 20)) * 64)
    except MemoryError:
        return "MemoryError"
    return "all"


def disk(directory: str) -> object:
    path = f"{directory}/full"
    try:
        with open(path, "wb") as file:
            for _ in range(2000):
                file.write(bytes(1 << 20))
                file.flush()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return "all"


def inodes(directory: str) -> object:
    os.makedirs(f"{directory}/many", exist_ok=True)
    made = 0
    try:
        while made < 200_000:
            os.close(os.open(f"{directory}/many/{made}", os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError as error:
        return [errno.errorcode[error.errno or 0], made]
    return ["all", made]


def output() -> object:
    """More than anybody reads, to the log."""
    line = b"x" * 8191 + b"\n"
    for _ in range(8000):
        os.write(2, line)
    return "written"


for size in (2**63, 2**64 - 1, 2**32, (1 << 20) + 1):
    attempts[f"size {size}"] = lambda size=size: oversized(size)  # type: ignore[misc]
attempts["garbage"] = lambda: deaf(b"GET / HTTP/1.1\r\n\r\n" * 50_000, 100 << 20)
attempts["replies unread"] = lambda: deaf(frame(NOOP, bytes(1 << 20)), 200 << 20)
attempts["lists unread"] = lambda: deaf(frame(0x12, {}) * 1000, 50 << 20)
for function in (
    connections,
    sends,
    stores,
    commands,
    descriptors,
    passed_descriptors,
    forks,
    threads,
    memory,
    output,
):
    attempts[function.__name__] = function
attempts["shared memory full"] = lambda: disk("/dev/shm")
attempts["temporary files full"] = lambda: disk("/tmp")
attempts["files without content"] = lambda: inodes("/dev/shm")
report()
