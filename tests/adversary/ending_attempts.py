"""Run as an agent: hands its stdout on to where nobody reads it, and ends."""

import array
import contextlib
import json
import os
import socket
import struct
import sys

HEADER = struct.Struct("<IIBQ")
MAGIC = 0x41474E54
NOOP, RECV = 0x00, 0x21


def into_a_connection() -> None:
    """Into a connection that the kernel does not read: it has a request to answer first."""
    end = socket.socket(socket.AF_UNIX)
    end.connect(os.environ["CLOVE_SOCKET"])
    body = json.dumps({"wait": 3000}).encode()
    end.sendall(HEADER.pack(MAGIC, 0, RECV, len(body)) + body)
    end.sendall(HEADER.pack(MAGIC, 0, NOOP, 0) * 300)
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))
    with contextlib.suppress(PermissionError):  # refused where Linux can
        end.sendmsg([b"T"], [rights])
    end.detach()


def to_an_escaped_process(*, waits: bool) -> None:
    """To a process in a session of its own, whose parents have ended."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writer, str(os.getpid()).encode())
            os.close(writer)
            os.execv("/bin/sleep", ["sleep", "3000"])
        os._exit(0)
    os.close(writer)
    print("escaped", os.read(reader, 20).decode(), flush=True)
    if waits:
        os.wait()


print("up", flush=True)
if sys.argv[-1] == "connection":
    into_a_connection()
else:
    to_an_escaped_process(waits=sys.argv[-1] == "orphan")
print("last words", flush=True)
