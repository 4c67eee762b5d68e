"""A scripted kernel on a real Unix socket, one thread a connection."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.framing import MORE, TAG, FrameDecoder, Opcode, encode, split_tag
from tests.contracts.clients import KINDS, Kind

Answer = Callable[["Ask"], Any]


class Ask:
    """One request that the peer got."""

    def __init__(self, link: Link, opcode: int, number: int, body: bytes) -> None:
        self.link = link
        self.opcode = Opcode(opcode)
        self.number = number
        self.body = body

    @property
    def fields(self) -> Any:
        return json.loads(self.body or b"{}")

    def reply(self, value: Any, *, more: bool = False) -> None:
        self.link.send(self.opcode, self.number | (MORE if more else 0), value)


class Link:
    """The peer's end of one connection."""

    def __init__(self, peer: Peer, sock: socket.socket, agent_id: int) -> None:
        self.peer = peer
        self.sock = sock
        self.agent_id = agent_id
        self.tagged = False

    def send(self, opcode: int, number: int, value: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        if self.tagged:
            body = TAG.pack(number) + body
        self.sock.sendall(encode(self.agent_id, opcode, body))

    def push(self, value: Any) -> None:
        self.send(Opcode.EMIT, 0, value)

    def cut(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        decoder = FrameDecoder(64 << 20)
        with self.sock:
            if self.peer.refusal is not None:
                self.send(Opcode.HELLO, 0, self.peer.refusal)
                self.sock.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):  # closed unread, it would take its word along
                    while self.sock.recv(1 << 16):
                        pass
                return
            try:
                while data := self.sock.recv(1 << 16):
                    for frame in decoder.feed(data):
                        self.take(frame.opcode, frame.payload)
            except OSError:
                pass

    def take(self, opcode: int, payload: bytes) -> None:
        number, body = split_tag(payload) if self.tagged else (0, payload)
        ask = Ask(self, opcode, number, body)
        self.peer.asked.append(ask)
        if opcode == Opcode.HELLO:
            self.hello(ask)
            return
        if opcode in (Opcode.CANCEL, Opcode.EXIT):
            ask.reply({"success": True} if opcode == Opcode.CANCEL else b"goodbye")
            return
        value = self.peer.answer(ask)
        if value is not None:
            ask.reply(value)

    def hello(self, ask: Ask) -> None:
        token = ask.fields.get("resume", "")
        if self.peer.version is None:
            return
        if self.peer.version == 0:
            ask.reply({"success": False, "error": "unknown opcode", "code": "invalid_request"})
            return
        if token:
            if token not in self.peer.tokens:
                ask.reply({"success": False, "error": "too old", "code": "not_found"})
                return
            self.agent_id = self.peer.tokens.pop(token)
        fresh = f"token-{len(self.peer.asked)}"
        self.peer.tokens[fresh] = self.agent_id
        version = self.peer.version
        reply = {"success": True, "protocol_version": version, "agent_id": self.agent_id}
        ask.reply({**reply, "kernel_version": "test", "resume": fresh})
        self.tagged = version == 2


class Peer:
    """Listens at `path`; `answer` says what each request gets (None: nothing yet)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.version: int | None = 2
        self.answer: Answer = lambda ask: {"success": True}
        self.refusal: Any = None
        self.asked: list[Ask] = []
        self.links: list[Link] = []
        self.tokens: dict[str, int] = {}
        self._threads: list[threading.Thread] = []
        self._socket: socket.socket | None = None
        self.start()

    def start(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        self._socket.listen()
        self._run(self._accept, self._socket)

    def _run(self, function: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            link = Link(self, sock, len(self.links) + 1)
            self.links.append(link)
            self._run(link.serve)

    def cut(self) -> None:
        """Close every connection, and go on listening."""
        for link in self.links:
            try:
                link.cut()
            except OSError:
                continue

    def stop(self) -> None:
        """End it all."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
            Path(self.path).unlink(missing_ok=True)
        self.cut()
        for thread in self._threads:
            thread.join(10)
        self._threads.clear()

    def opcodes(self) -> list[str]:
        return [ask.opcode.name for ask in self.asked]


@pytest.fixture
def socket_directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir="/tmp", prefix="clove-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def peer(socket_directory: Path) -> Iterator[Peer]:
    peer = Peer(str(socket_directory / "s"))
    yield peer
    peer.stop()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]()
