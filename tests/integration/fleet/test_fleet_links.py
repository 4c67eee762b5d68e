"""No stranger gets a link of a relay, nor more by it than a token's bearer has."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clove.relay.link.messages import DIALS, proof_text
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.fleet.test_fleet_routes import database_of
from tests.integration.fleet.two_relays import Relays, two_relays
from tests.postgresql import PostgreSQL
from tests.waiting import until


@pytest.fixture(scope="module")
def relays(postgresql: PostgreSQL) -> Iterator[Relays]:
    with two_relays(postgresql) as both:
        yield both


def names(fleet: Fleet) -> list[tuple[str, int]]:
    """Names and link ports of the two relays, once both have their lease."""
    rows: list[tuple[str, str]] = []

    def both() -> bool:
        query = "SELECT relay, url FROM relays ORDER BY relay"
        rows[:] = connection.execute(query).fetchall()
        return len(rows) == 2

    with psycopg.connect(database_of(fleet), autocommit=True) as connection:
        until(both, "both relays have a lease")
    return [(name, urlsplit(url).port or 0) for name, url in rows]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def hello(peer: PeerV1, relay: str, other: str, nonce: bytes) -> dict[str, Any]:
    peer.say("link_auth", relay=relay, peer=other, nonce=encoded(nonce))
    return peer.hear()


def test_a_relay_that_holds_no_lease_is_refused(relays: Relays) -> None:
    (_, _), (name, port) = names(relays[0])
    with PeerV1(port) as peer:
        answer = hello(peer, "0" * 16, name, secrets.token_bytes(32))
    assert answer["code"] == "not_authenticated", answer


def test_one_that_takes_another_relays_name_has_not_its_key(relays: Relays) -> None:
    (mine, _), (name, port) = names(relays[0])
    nonce = secrets.token_bytes(32)
    with PeerV1(port) as peer:
        challenge = hello(peer, mine, name, nonce)
        assert challenge["type"] == "link_challenge"
        theirs = base64.b64decode(challenge["nonce"])
        text = proof_text(DIALS, "", mine, name, (nonce, theirs))
        peer.say("link_proof", signature=encoded(Ed25519PrivateKey.generate().sign(text)))
        assert peer.hear()["code"] == "not_authenticated"


def test_what_a_relay_has_signed_itself_is_no_proof_by_another(relays: Relays) -> None:
    (mine, _), (name, port) = names(relays[0])
    with PeerV1(port) as peer:
        challenge = hello(peer, mine, name, secrets.token_bytes(32))
        peer.say("link_proof", signature=challenge["signature"])
        assert peer.hear()["code"] == "not_authenticated"


@pytest.mark.parametrize("kind", ["kernel_auth", "agent_auth", "link_proof"])
def test_a_link_is_for_relays_alone(relays: Relays, kind: str) -> None:
    (_, _), (_, port) = names(relays[0])
    with PeerV1(port) as peer:
        peer.say(kind, machine_id="one", token=relays[0].admin, name="x", target_machine="one")
        assert peer.hear()["code"] == "invalid_request"
