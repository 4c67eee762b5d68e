"""Connections to a relay from which anything may come: strangers, kernels and remote agents of both versions."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import select
import socket
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clove.channels.session import FrameKind, frame
from clove.client.websocket import CLOSE, PONG, Decoder, request
from clove.errors import ConnectionLost
from clove.messages.relay import challenge_text
from tests.fuzz.json_texts import any_text, changed
from tests.fuzz.link_messages import kernel_bytes, link_message, right_control
from tests.fuzz.websocket_frames import BINARY, TEXT, message, websocket_frame, wrong_frames

__all__ = ["ROLES", "Credentials", "Peer"]

MOST = 32 << 20
PATIENCE = 20.0
PING = 9


class Credentials:
    """What the peers authenticate with.

    @ivar machine_token: of version 1, for the machine C{old}.
    @ivar agent_token: reaches every machine.
    """

    def __init__(self, machine_token: str, agent_token: str) -> None:
        self.machine_token = machine_token
        self.agent_token = agent_token
        self.key = Ed25519PrivateKey.generate()
        self.instance = os.urandom(16).hex()

    @property
    def public_key(self) -> str:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def agent_auth(self, machine: str, version: int) -> dict[str, Any]:
        return {
            "type": "agent_auth",
            "name": "fuzz",
            "token": self.agent_token,
            "target_machine": machine,
            "protocol_version": version,
        }

    def old_kernel(self) -> dict[str, Any]:
        return {"type": "kernel_auth", "machine_id": "old", "token": self.machine_token}

    def kernel(self, join_token: str = "") -> dict[str, Any]:
        return {
            "type": "kernel_auth",
            "protocol_version": 2,
            "machine_id": "mine",
            "public_key": self.public_key,
            "instance": self.instance,
            "join_token": join_token,
        }

    def prove(self, challenge: Mapping[str, Any]) -> dict[str, str]:
        text = challenge_text(
            challenge["relay_id"], "mine", self.instance, base64.b64decode(challenge["nonce"])
        )
        return {"type": "proof", "signature": base64.b64encode(self.key.sign(text)).decode()}


class Peer:
    """One connection; blocking, with a time limit on everything.

    @ivar sent: how many messages.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head, accept = request("127.0.0.1", port)
        self._decoder = Decoder(accept, MOST)
        self._said: list[dict[str, Any]] = []
        self._pongs: set[bytes] = set()
        self.closed = False
        self.sent = 0
        self._socket.sendall(head)
        while not self._decoder.is_open and not self.closed:
            self.read(PATIENCE)

    def read(self, seconds: float) -> bool:
        """Take what has come; has anything, in time?"""
        try:
            if not select.select([self._socket], [], [], seconds)[0]:
                return False
            data = self._socket.recv(1 << 18)
            for one in self._decoder.feed(data) if data else ():
                if one.kind == CLOSE:
                    data = b""
                elif one.kind == PONG:
                    self._pongs.add(one.data)
                elif one.kind == TEXT:
                    self._said.append(json.loads(one.data))
        except (OSError, ConnectionLost):
            data = b""
        self.closed = self.closed or not data
        return True

    def say(self, said: Mapping[str, Any]) -> None:
        self.send(websocket_frame(TEXT, json.dumps(said).encode()))

    def send(self, frames: bytes) -> None:
        """Send bytes; read meanwhile, as the other side may want that first."""
        self.sent += 1
        view = memoryview(frames)
        while view and not self.closed:
            readable, writable, _ = select.select([self._socket], [self._socket], [], PATIENCE)
            if readable:
                self.read(0)
            elif not writable:
                self.closed = True  # it does not read us any more, and may
            if writable and not self.closed:
                try:
                    view = view[self._socket.send(view[: 1 << 18]) :]
                except OSError:
                    self.closed = True

    def hear(self) -> dict[str, Any]:
        """The next text message; nothing when it is closed."""
        while not self._said and not self.closed:
            self.read(PATIENCE)
        return self._said.pop(0) if self._said else {}

    def settle(self, seconds: float) -> None:
        """Wait until the relay has got through all that was sent, or that it reads no more."""
        mark = os.urandom(8)
        self.send(websocket_frame(PING, mark))
        while mark not in self._pongs and not self.closed:
            if not self.read(seconds):
                break
        self._pongs.clear()
        self._said.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()


# what each kind of peer does first, and what it says then


def _stranger(peer: Peer, dice: random.Random, known: Credentials) -> None:
    if dice.randrange(3):
        return
    peer.say(known.kernel())  # half way: a challenge comes


def _old_kernel(peer: Peer, dice: random.Random, known: Credentials) -> None:
    peer.say(known.old_kernel())
    peer.hear()


def _kernel(peer: Peer, dice: random.Random, known: Credentials) -> None:
    peer.say(known.kernel())
    challenge = peer.hear()
    if challenge.get("type") == "challenge":
        peer.say(known.prove(challenge))
        peer.hear()


def _agent(version: int) -> Callable[[Peer, random.Random, Credentials], None]:
    def begin(peer: Peer, dice: random.Random, known: Credentials) -> None:
        peer.say(known.agent_auth(dice.choice(["honest", "honest", "mine", "old"]), version))
        peer.hear()

    return begin


def _first_text(dice: random.Random, known: Credentials) -> bytes:
    said = dice.choice(
        [
            known.kernel(),
            known.old_kernel(),
            known.agent_auth("honest", dice.choice([1, 2])),
            {"type": "proof", "signature": "AAAA"},
        ]
    )
    return changed(dice, said)


def _old_kernel_text(dice: random.Random, known: Credentials) -> bytes:
    agent_id = dice.choice([1000, 1001, 0, dice.randrange(1000, 100_000)])
    payload = base64.b64encode(kernel_bytes(dice)).decode()
    said: dict[str, Any] = dice.choice(
        [
            {"type": "response", "agent_id": agent_id, "opcode": 0, "payload": payload},
            {
                "type": "response",
                "agent_id": agent_id,
                "opcode": dice.randrange(300),
                "payload": "",
            },
            {"type": "list_remotes"},
            {"type": "ping"},
            {"type": "error", "error": "x"},
            {"type": "pong"},
        ]
    )
    return changed(dice, said)


def _agent_text(dice: random.Random, known: Credentials) -> bytes:
    payload = base64.b64encode(kernel_bytes(dice)).decode()
    said: dict[str, Any] = {"type": "syscall", "opcode": dice.randrange(256), "payload": payload}
    return changed(dice, dice.choice([said, said, {"type": "ping"}]))


def _texts(
    make: Callable[[random.Random, Credentials], bytes],
) -> Callable[[random.Random, Credentials], bytes]:
    def frames(dice: random.Random, known: Credentials) -> bytes:
        if not dice.randrange(12):
            return wrong_frames(dice, masked=True)
        text = any_text(dice) if not dice.randrange(10) else make(dice, known)
        kind = TEXT if dice.randrange(30) else BINARY
        return message(dice, kind, text, masked=True)

    return frames


def _links(dice: random.Random, known: Credentials) -> bytes:
    if not dice.randrange(12):
        return wrong_frames(dice, masked=True)
    which = dice.randrange(10)
    if which < 3:
        data = frame(1, FrameKind.DATA, kernel_bytes(dice))
    elif which < 7:
        data = right_control(dice)
    else:
        data = link_message(dice)
    return message(dice, BINARY if dice.randrange(40) else TEXT, data, masked=True)


ROLES: Mapping[str, tuple[Any, Any]] = {
    "stranger": (_stranger, _texts(_first_text)),
    "old kernel": (_old_kernel, _texts(_old_kernel_text)),
    "kernel": (_kernel, _links),
    "old agent": (_agent(1), _texts(_agent_text)),
    "agent": (_agent(2), _links),
}
"""What it does first, and how it makes the bytes of a message."""
