"""What a kernel or a remote agent says to a relay of the test's own process, and what it is told."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.tcp import Server
from twisted.internet.threads import deferToThread

from clove.messages.relay import challenge_text
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.relay.relays import Relay

__all__ = ["KEY", "OTHER", "asked", "in_hub", "introduced", "public"]

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def attempt(
    port: int,
    machine: str,
    key: Ed25519PrivateKey,
    *,
    signed_by: Ed25519PrivateKey | None = None,
    headers: str = "",
    **more: Any,
) -> dict[str, Any]:
    """What a kernel is told that shows a key; signed by itself, unless another is given."""
    with PeerV1(port, headers) as peer:
        said = {"machine_id": machine, "protocol_version": 2, "instance": "i", **more}
        peer.say("kernel_auth", public_key=base64.b64encode(public(key)).decode(), **said)
        answer = peer.hear()
        if answer["type"] == "challenge":
            nonce = base64.b64decode(answer["nonce"])
            text = challenge_text(answer["relay_id"], machine, "i", nonce)
            signature = (signed_by or key).sign(text)
            peer.say("proof", signature=base64.b64encode(signature).decode())
            answer = peer.hear()
        return answer


class PlainTimer:
    """In place of Autobahn's, whose calls outlive connections by some seconds."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def call_later(self, seconds: float, call: Any) -> Any:
        self.calls.append(reactor.callLater(seconds, call))
        return self.calls[-1]

    def stop(self) -> None:
        for call in self.calls:
            if call.active():
                call.cancel()


def introduced(port: int, kind: str, **fields: Any) -> dict[str, Any]:
    """What is answered to a first message."""
    with PeerV1(port) as peer:
        peer.say(kind, **fields)
        return peer.hear()


async def asked(relay: Relay, *what: Any, **more: Any) -> dict[str, Any]:
    """L{attempt} at a relay."""
    return await in_hub(relay, lambda port: attempt(port, *what, **more))


async def in_hub(relay: Relay, ask: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Have something asked at the port of the hub, in a thread; all its connections are gone then."""
    hub: Any = relay.parts.hub_port
    timer = hub.factory._batched_timer = PlainTimer()
    port = hub.getHost().port
    found: dict[str, Any] = await deferToThread(ask, port)
    while any(isinstance(each, Server) and each.getHost().port == port for each in readers()):
        await deferLater(reactor, 0.005, lambda: None)  # the relay notices that it is gone
    timer.stop()
    return found


def readers() -> list[Any]:
    return list(reactor.getReaders())
