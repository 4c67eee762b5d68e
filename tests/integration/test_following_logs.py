"""LOGS with `follow`, read at the reader's own pace."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.framing import MORE, TAG, FrameDecoder, Opcode, encode
from tests.integration.conftest import KernelProcess, running_kernel

LINES = 3000
TINY = "[limits.connection]\nunsent = 1048576\n"
FLOOD = f"for n in range({LINES}): print(n, 'x' * 1000)\n"


@pytest.fixture
def narrow() -> Iterator[KernelProcess]:
    """A kernel that keeps no more than 1 MiB for a reader who stays behind."""
    with running_kernel(TINY) as process:
        yield process


class Reader:
    """A connection of version 2 whose replies are read when the test says so."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.decoder = FrameDecoder(1 << 30)
        self.frames: list[Any] = []
        self.socket.sendall(encode(0, Opcode.HELLO, b'{"protocol_version":2}'))
        self.next()

    def ask(self, opcode: int, **fields: Any) -> None:
        self.socket.sendall(encode(0, opcode, TAG.pack(7) + json.dumps(fields).encode()))

    def next(self) -> bytes:
        while not self.frames:
            data = self.socket.recv(1 << 16)
            assert data, "the kernel closed the connection"
            self.frames = self.decoder.feed(data)
        payload: bytes = self.frames.pop(0).payload
        return payload

    def pages(self) -> Iterator[dict[str, Any]]:
        """The replies of a stream, the last one included."""
        more = True
        while more:
            payload = self.next()
            more = bool(TAG.unpack_from(payload)[0] & MORE)
            yield json.loads(payload[TAG.size :])


def test_a_slow_reader_is_told_what_it_has_missed(narrow: KernelProcess) -> None:
    script = Path(narrow.directory, "flood.py")
    script.write_text(FLOOD)
    reader = Reader(narrow.socket)
    with CloveClient(narrow.socket) as client:
        gate = Path(narrow.directory, "waits.py")
        gate.write_text(
            "from clove import CloveClient\nimport sys\nCloveClient(sys.argv[1])"
            ".recv_messages(wait=60)\n" + FLOOD
        )
        agent = client.spawn("flood", str(gate), sandboxed=False)["id"]
        reader.ask(Opcode.LOGS, id=agent, follow=True)
        client.send_message("go", to=agent)
        client.wait(agent, timeout=30)
    with reader.socket:
        expected = 0
        for page in reader.pages():
            assert page["success"]
            expected += page["lost"]
            for line in page["lines"]:
                assert line["offset"] == expected
                assert line["text"].split()[0] == str(expected)
                expected += 1
            assert page["next"] == expected
    assert expected == LINES
