"""The pure parts of a tunnel: back-off, target, liveness, identity."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from twisted.internet.task import Clock

from clove.errors import InvalidRequest, Unavailable
from clove.messages.relay import Challenge, challenge_text
from clove.relay.hub.presence import Presence
from clove.tunnel.backoff import REFUSED_SECONDS, Backoff
from clove.tunnel.config import load
from clove.tunnel.identity import Identity, OtherRelay
from clove.tunnel.liveness import ANSWER, TICK, Liveness
from clove.tunnel.target import Target


def test_pauses_grow_with_a_random_part_up_to_the_longest() -> None:
    least, most = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    assert [least.next_pause() for _ in range(3)] == [0.125, 0.25, 0.5]
    assert [most.next_pause() for _ in range(100)][-1] == 30.0
    most.succeeded()
    assert most.next_pause() == 0.25


def test_one_that_is_refused_tries_less_than_twice_a_minute_in_the_end() -> None:
    least = Backoff(lambda: 0.0)
    pauses = [least.next_pause(refused=True) for _ in range(20)]
    assert pauses[-1] == REFUSED_SECONDS / 2
    least.succeeded()
    assert least.next_pause(refused=True) == 0.125


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("relay.example", "wss://relay.example:8765/"),
        ("wss://relay.example:443", "wss://relay.example:443/"),
        ("https://relay.example", "wss://relay.example:8765/"),
        ("ws://127.0.0.1:1", "ws://127.0.0.1:1/"),
        ("ws://[::1]:1", "ws://[::1]:1/"),
        ("ws://localhost", "ws://localhost:8765/"),
    ],
)
def test_a_relays_url(said: str, url: str) -> None:
    assert Target.of(said, "one").url == url


@pytest.mark.parametrize(
    "said",
    [
        *("ftp://relay.example", "wss://", "wss://user@relay.example", "wss://relay.example/path"),
        *(
            "wss://relay.example:99999",
            "wss://relay.example?x",
            "ws://relay.example",
            "ws://10.0.0.1",
        ),
    ],
)
def test_no_relays_url(said: str) -> None:
    with pytest.raises(InvalidRequest):
        Target.of(said, "one")


def test_plain_is_for_those_that_ask_for_it() -> None:
    assert not Target.of("ws://relay.example", "one", plain=True).tls
    with pytest.raises(InvalidRequest):
        Target.of("wss://relay.example", "a\nb")


class Watched:
    """Liveness with clocks of the test's own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.apart = 1000.0
        self.messages = 0
        self.told: list[str] = []
        self.liveness = Liveness(
            self.clock,
            lambda: self.clock.seconds() + self.apart,
            lambda: self.told.append("probe"),
            lambda: self.told.append("cut"),
        )
        self.liveness.start(15.0, lambda: self.messages)

    def advance(self, seconds: float, *, heard: bool = False) -> None:
        for _ in range(int(seconds / TICK)):
            self.messages += heard
            self.clock.advance(TICK)


def test_a_connection_that_is_heard_of_is_left_alone() -> None:
    watched = Watched()
    watched.advance(300, heard=True)
    assert watched.told == []
    watched.liveness.stop()
    assert watched.clock.getDelayedCalls() == []


def test_a_silent_one_is_asked_and_then_cut() -> None:
    watched = Watched()
    watched.advance(34)
    assert watched.told == ["probe"]
    watched.advance(2 * ANSWER)
    assert watched.told == ["probe", "cut"]


def test_one_that_answers_is_kept() -> None:
    watched = Watched()
    watched.advance(34)
    watched.advance(10, heard=True)
    assert watched.told == ["probe"]


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_jump_of_the_wall_clock_asks_at_once(jump: float) -> None:
    watched = Watched()
    watched.advance(10, heard=True)
    watched.apart += jump
    watched.advance(TICK, heard=True)
    assert watched.told == ["probe"]
    watched.advance(2 * ANSWER)
    assert watched.told == ["probe", "cut"]


def test_presence_turns_with_the_answers() -> None:
    presence = Presence(15.0, 0.0, 1000.0)
    assert (presence.state(30.0), presence.since(30.0)) == ("connected", 1000.0)
    assert (presence.state(31.0), presence.since(31.0)) == ("stale", 1030.0)
    assert (presence.state(61.0), presence.since(61.0)) == ("disconnected", 1060.0)
    presence.answered(70.0, 1070.0)
    assert (presence.state(71.0), presence.since(71.0)) == ("connected", 1070.0)
    presence.cut(1075.0)
    presence.cut(1080.0)
    assert (presence.state(76.0), presence.since(76.0)) == ("disconnected", 1075.0)


def test_a_key_is_made_once_and_signs_for_its_relay_alone(tmp_path: Path) -> None:
    directory = str(tmp_path / "tunnel")
    first = Identity.load(directory)
    first.pin("relay 1")
    again = Identity.load(directory)
    assert again.public_key == first.public_key
    assert again.instance != first.instance
    assert again.relay_id == "relay 1"
    challenge = Challenge(nonce=b"n" * 32, relay_id="relay 1")
    signature = again.sign(challenge, "one", joining=False)
    key = Ed25519PublicKey.from_public_bytes(again.public_key)
    key.verify(signature, challenge_text("relay 1", "one", again.instance, b"n" * 32))
    for other in (
        challenge_text("relay 2", "one", again.instance, b"n" * 32),
        challenge_text("relay 1", "two", again.instance, b"n" * 32),
        challenge_text("relay 1", "one", first.instance, b"n" * 32),
        challenge_text("relay 1", "one", again.instance, b"m" * 32),
    ):
        with pytest.raises(InvalidSignature):
            key.verify(signature, other)
    with pytest.raises(Unavailable):
        again.sign(Challenge(nonce=b"n" * 32, relay_id="relay 2"), "one", joining=False)


def test_for_another_relay_there_is_another_key(tmp_path: Path) -> None:
    directory = str(tmp_path / "tunnel")
    identity = Identity.load(directory)
    identity.pin("relay 1")
    known = identity.public_key
    forwarded = Challenge(nonce=b"n" * 32, relay_id="relay 2")
    with pytest.raises(OtherRelay):
        identity.sign(forwarded, "one", joining=True)
    identity.sign(Challenge(nonce=b"n" * 32, relay_id="relay 1"), "one", joining=True)
    identity.renew()
    assert identity.public_key != known
    identity.sign(forwarded, "one", joining=True)
    again = Identity.load(directory)
    assert (again.public_key, again.relay_id) == (identity.public_key, "")


def test_what_is_signed_has_one_meaning() -> None:
    assert challenge_text("a", "bc", "d", b"e") != challenge_text("ab", "c", "d", b"e")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "tunnel"
    Identity.load(str(directory))
    (directory / "key").chmod(0o644)
    with pytest.raises(Unavailable):
        Identity.load(str(directory))
    (directory / "key").chmod(0o600)
    (directory / "key").write_bytes(b"short")
    with pytest.raises(Unavailable):
        Identity.load(str(directory))


def test_without_a_configuration_it_is_said_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there is no") as caught:
        load(str(tmp_path / "tunnel.toml"))
    for key in ("relay_url", "kernel_socket", "join_token_file", "--config"):
        assert key in caught.value.hint
    path = tmp_path / "written.toml"
    path.write_text(
        'relay_url = "wss://RELAY:8765"\nkernel_socket = "SOCKET"\njoin_token_file = "FILE"\n'
    )
    assert load(str(path)).kernel_socket == "SOCKET"
