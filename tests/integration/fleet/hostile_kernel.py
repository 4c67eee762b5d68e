"""A kernel with a tunnel of version 2 that answers what a test tells it to."""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clove.channels.session import HEADER, FrameKind, frame
from clove.framing import FrameDecoder, Opcode, encode
from clove.messages.relay import challenge_text
from tests.integration.fleet.peer_v1 import PeerV1, text_frame

__all__ = ["HostileKernel"]

Answer = Callable[[int, bytes], bytes]
_WINDOW = struct.Struct(">I")


class HostileKernel(threading.Thread):
    """Joins as a machine and answers requests, until it is closed or cut off.

    @param answer: the payload of the answer to an opcode and a payload; HELLO is not asked.
    @ivar answered: how the relay has let it in, or not.
    @ivar cut: the relay has closed the connection.
    """

    def __init__(self, port: int, machine: str, token: str, answer: Answer) -> None:
        super().__init__()
        self._peer = PeerV1(port)
        self._answer = answer
        self._decoders: dict[int, FrameDecoder] = {}
        self.cut = threading.Event()
        key = Ed25519PrivateKey.generate()
        shown = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._peer.say(
            "kernel_auth",
            machine_id=machine,
            protocol_version=2,
            instance="hostile",
            join_token=token,
            public_key=base64.b64encode(shown).decode(),
        )
        asked = self._peer.hear()
        nonce = base64.b64decode(asked["nonce"])
        signature = key.sign(challenge_text(asked["relay_id"], machine, "hostile", nonce))
        self._peer.say("proof", signature=base64.b64encode(signature).decode())
        self.answered = self._peer.hear()

    def send(self, channel: int, kind: int, body: bytes = b"") -> None:
        """A frame of the link."""
        data = text_frame(frame(channel, kind, body))
        self._peer.send(bytes((0x82,)) + data[1:])

    def run(self) -> None:
        """The thread."""
        try:
            while True:
                self._heard(self._peer.hear_binary())
        except (EOFError, OSError):
            self.cut.set()

    def _heard(self, message: bytes) -> None:
        channel, kind = HEADER.unpack_from(message)
        body = message[HEADER.size :]
        if kind == FrameKind.OPEN:
            self._decoders[channel] = FrameDecoder(1 << 24)
        elif kind == FrameKind.CLOSE:
            if self._decoders.pop(channel, None) is not None:
                self.send(channel, FrameKind.CLOSE, b"{}")
        elif kind == FrameKind.CONTROL:
            said = json.loads(body)
            if said["type"] == "ping":
                self._control(type="pong", id=said["id"])
        elif kind == FrameKind.DATA and channel in self._decoders:
            self.send(channel, FrameKind.WINDOW, _WINDOW.pack(len(body)))
            for asked in self._decoders[channel].feed(body):
                hello = asked.opcode == Opcode.HELLO
                said = b'{"success":true}' if hello else self._answer(asked.opcode, asked.payload)
                data = encode(0, asked.opcode, said)
                for start in range(0, len(data), 60_000):
                    self.send(channel, FrameKind.DATA, data[start : start + 60_000])

    def _control(self, **said: Any) -> None:
        self.send(0, FrameKind.CONTROL, json.dumps(said).encode())

    def close(self) -> None:
        """End it."""
        self._peer.shutdown()
        if self.ident is not None:
            self.join()
        self._peer.close()
