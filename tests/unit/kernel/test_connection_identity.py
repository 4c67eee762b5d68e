"""Who a connection is: resuming, tokens, and how many connections one may have."""

from __future__ import annotations

import json

import pytest

from clove.framing import Opcode
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.principal import Kind
from clove.kernel.principals import RESUME_SECONDS
from clove.policy import Level
from tests.unit.kernel.connection_peer import Peer


def test_a_lost_identity_can_be_resumed_within_a_minute() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    first = peer.connection.principal.agent_id
    peer.lose()
    assert peer.closed == []
    again = Peer(principals=peer.principals)
    assert again.hello(resume=token)["agent_id"] == first
    peer.clock.advance(RESUME_SECONDS + 1)
    assert first not in peer.closed
    again.lose()
    peer.clock.advance(RESUME_SECONDS + 1)
    assert first in peer.closed


def test_after_a_minute_the_token_is_worth_nothing() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    peer.lose()
    peer.clock.advance(RESUME_SECONDS + 1)
    assert peer.closed == [1]
    late = Peer(principals=peer.principals)
    reply = late.hello(resume=token)
    assert (reply["success"], reply["code"]) == (False, "not_found")


def test_a_token_in_use_resumes_nothing() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    thief = Peer(principals=peer.principals)
    assert thief.hello(resume=token)["success"] is False


def test_an_agents_identity_is_not_resumed_by_a_token_of_another_kind() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    peer.lose()
    other = Peer(principals=peer.principals)
    other.connection.principal.kind = Kind.GUEST
    assert other.hello(resume=token)["success"] is False
    peer.clock.advance(RESUME_SECONDS + 1)


def test_too_many_connections_get_an_error_and_a_close() -> None:
    peer = Peer(ConnectionLimits(max_connections=1))
    extra = Peer(ConnectionLimits(max_connections=1), principals=peer.principals)
    assert json.loads(extra.hears()[0][1])["code"] == "limit_exceeded"
    assert extra.channel.closing
    extra.lose()
    assert len(peer.principals.connections) == 1


def test_a_token_is_worth_nothing_after_exit_or_another_hello() -> None:
    peer = Peer()
    tokens = [peer.hello()["resume"]]
    peer.lose()
    again = Peer(principals=peer.principals)
    assert again.hello()["resume"] != tokens[0]
    again.say(Opcode.HELLO, json.dumps({"resume": tokens[0]}).encode(), tag=1)
    tokens.append(json.loads(again.hears()[0][1][8:])["resume"])
    again.say(Opcode.EXIT, b"", tag=2)
    again.lose()
    late = Peer(principals=peer.principals)
    assert late.connection.principal.agent_id not in peer.closed
    for token in tokens:
        assert late.hello(resume=token)["success"] is False
    late.lose()
    peer.clock.advance(RESUME_SECONDS + 1)
    assert not peer.principals._tokens


def test_a_resumed_identity_gets_a_new_token_that_resumes_it_again() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    for _ in range(3):
        peer.lose()
        peer = Peer(principals=peer.principals)
        assert peer.hello()["success"]  # a client that asks twice
        peer.say(Opcode.HELLO, json.dumps({"resume": token}).encode(), tag=1)
        reply = json.loads(peer.hears()[0][1][8:])
        assert reply["agent_id"] == 1
        assert reply["resume"] != token
        token = reply["resume"]


def test_a_token_is_for_the_user_that_got_it() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    peer.lose()
    thief = Peer(principals=peer.principals)
    thief.principals.connections[thief.connection] = 4242
    assert thief.hello(resume=token)["success"] is False
    owner = Peer(principals=peer.principals)
    assert owner.hello(resume=token)["agent_id"] == 1


def guests(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(Peer, "uid", uid)


def test_some_connections_are_kept_for_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ConnectionLimits(max_connections=8, operator_connections=2)
    first = Peer(limits)
    first.principals._grants = {4242: Level.STANDARD, 4343: Level.STANDARD}
    guests(monkeypatch, 4242)
    for _ in range(4):
        assert Peer(limits, first.principals).connection.principal.kind is Kind.GUEST
    assert "your family" in json.loads(Peer(limits, first.principals).hears()[0][1])["error"]
    guests(monkeypatch, 4343)
    assert Peer(limits, first.principals).connection.principal.kind is Kind.GUEST
    refused = Peer(limits, first.principals)
    assert json.loads(refused.hears()[0][1])["code"] == "limit_exceeded"
    monkeypatch.undo()
    assert Peer(limits, first.principals).connection.principal.is_operator


def test_a_guest_has_no_more_connections_than_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ConnectionLimits(max_connections_per_agent=2)
    first = Peer(limits)
    first.principals._grants = {4242: Level.STANDARD, 4343: Level.STANDARD}
    guests(monkeypatch, 4242)
    peers = [Peer(limits, first.principals) for _ in range(3)]
    assert json.loads(peers[2].hears()[0][1])["code"] == "limit_exceeded"
    guests(monkeypatch, 4343)
    assert Peer(limits, first.principals).hears() == []
