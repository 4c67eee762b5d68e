"""SEND, RECV, BROADCAST, REGISTER and ACK as a client's bytes reach them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.errors import AlreadyExists, CloveError, InvalidRequest, LimitExceeded, NotFound
from clove.kernel.calls import mail as calls
from clove.kernel.context import Context, Kernel
from clove.kernel.mail import Mailboxes
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.messages import decode, encode
from clove.messages import mail as messages
from clove.messages.value import MAX_DEPTH
from clove.policy import Level, for_level
from tests.contracts.answers import Slow, settled


class Agents:
    """Two principals and a kernel with mailboxes, at once or slow."""

    def __init__(self, slow: bool) -> None:
        self.clock = Clock()
        self.registry = Registry()
        self.slow = slow
        mail = Mailboxes(self.clock, self.registry)
        self.mail: Any = Slow(self.clock, mail) if slow else mail
        self.ann = self.add("ann")
        self.bob = self.add("")

    def add(self, name: str) -> Principal:
        permissions = for_level(Level.STANDARD)
        principal = Principal(self.registry.new_id(), Kind.AGENT, permissions, name=name)
        self.registry.add(principal)
        return principal

    def call(self, who: Principal, name: str, request: bytes) -> Any:
        """The reply as a client reads it."""
        return settled(self.clock, self.ask(who, name, request))

    def ask(self, who: Principal, name: str, request: bytes) -> Any:
        """The reply, or a Deferred of it."""
        kernel = cast(Kernel, SimpleNamespace(mail=self.mail, registry=self.registry))
        kind = getattr(messages, f"{name.capitalize()}Request")
        reply = getattr(calls, name)(Context(kernel, who), decode(kind, request))
        if isinstance(reply, msgspec.Struct):
            assert not self.slow or name == "register"
            return msgspec.json.decode(encode(reply))
        return Deferred.fromCoroutine(reply).addCallback(lambda r: msgspec.json.decode(encode(r)))


@pytest.fixture(params=[False, True], ids=["at once", "slow"])
def agents(request: pytest.FixtureRequest) -> Agents:
    return Agents(slow=request.param)


def test_a_message_goes_by_id_and_comes_with_its_sender(agents: Agents) -> None:
    sent = agents.call(agents.ann, "send", b'{"to": 2, "message": {"n": [1, 2.5, "\\u00e4"]}}')
    assert sent == {"success": True, "delivered_to": 2, "message_id": 1}
    assert agents.call(agents.bob, "recv", b"") == {
        "success": True,
        "count": 1,
        "messages": [
            {
                "id": 1,
                "from": 1,
                "from_id": 1,
                "from_name": "ann",
                "message": {"n": [1, 2.5, "ä"]},
                "age_ms": 0,
            }
        ],
    }


@pytest.mark.parametrize(
    "to",
    [
        b'"to_name": "ann"',
        b'"to": 0, "to_name": "ann"',
        b'"to": 1',
        b'"to": 1, "to_name": ""',
        b'"to": 1, "to_name": "ann"',
    ],
)
def test_every_way_to_name_a_receiver(agents: Agents, to: bytes) -> None:
    sent = agents.call(agents.bob, "send", b'{"message": null, ' + to + b"}")
    assert sent["delivered_to"] == 1
    assert agents.call(agents.ann, "recv", b"")["messages"][0]["message"] is None


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b'{"message": 1}', InvalidRequest),
        (b'{"to": 2}', InvalidRequest),
        (b'{"to": "2", "message": 1}', InvalidRequest),
        (b'{"to": 2, "message": 1, "ttl": 0}', InvalidRequest),
        (b'{"to": 2, "message": 1, "ttl": -1}', InvalidRequest),
        (b'{"to": 0, "message": 1}', NotFound),
        (b'{"to": 9, "message": 1}', NotFound),
        (b'{"to": -1, "message": 1}', NotFound),
        (b'{"to": %d, "message": 1}' % 10**30, NotFound),
        (b'{"to_name": "an", "message": 1}', NotFound),
        (b'{"to": 2, "to_name": "ann", "message": 1}', InvalidRequest),
        (b'{"to": 2, "to_name": "nobody", "message": 1}', InvalidRequest),
        (b'{"to_name": "ann\\u0000", "message": 1}', NotFound),
    ],
)
def test_what_cannot_be_sent(agents: Agents, request_: bytes, error: type[CloveError]) -> None:
    with pytest.raises(error):
        agents.call(agents.ann, "send", request_)


@pytest.mark.parametrize(
    "message", [b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"', b"1e999", b"[1, {]", b"NaN"]
)
def test_json_that_would_spoil_the_receivers_reply_is_refused(
    agents: Agents, message: bytes
) -> None:
    with pytest.raises(InvalidRequest):
        agents.call(agents.ann, "send", b'{"to": 2, "message": ' + message + b"}")
    with pytest.raises(InvalidRequest):
        agents.call(agents.ann, "broadcast", b'{"message": ' + message + b"}")


def test_depth_is_bounded(agents: Agents) -> None:
    def nested(levels: int) -> bytes:
        return b'{"to": 2, "message": ' + b'{"a":[' * levels + b"]}" * levels + b"}"

    agents.call(agents.ann, "send", nested(MAX_DEPTH // 2))
    with pytest.raises(LimitExceeded):
        agents.call(agents.ann, "send", nested(MAX_DEPTH // 2 + 1))
    wide = b'{"to": 2, "message": [' + b"[]," * 1000 + b"[[]]]}"
    agents.call(agents.ann, "send", wide)


def test_recv_waits_and_is_woken(agents: Agents) -> None:
    got: list[Any] = []
    agents.ask(agents.bob, "recv", b'{"wait": 5}').addCallback(got.append)
    assert got == []
    agents.call(agents.ann, "send", b'{"to": 2, "message": 1}')
    assert [reply["count"] for reply in got] == [1]


def test_recv_gives_up_after_its_wait(agents: Agents) -> None:
    got: list[Any] = []
    agents.ask(agents.bob, "recv", b'{"wait": 5}').addCallback(got.append)
    agents.clock.advance(5)
    agents.clock.advance(5)
    assert got == [{"success": True, "count": 0, "messages": []}]


@pytest.mark.parametrize(
    "request_", [b'{"max": 0}', b'{"wait": -1}', b'{"ack": "later"}', b'{"max": "1"}', b"[]"]
)
def test_recv_refuses_what_makes_no_sense(agents: Agents, request_: bytes) -> None:
    with pytest.raises(InvalidRequest):
        agents.call(agents.ann, "recv", request_)


def test_manual_acknowledgement(agents: Agents) -> None:
    agents.call(agents.ann, "send", b'{"to": 2, "message": "work"}')
    agents.call(agents.bob, "recv", b'{"ack": "manual"}')
    agents.clock.advance(30)
    again = agents.call(agents.bob, "recv", b'{"ack": "manual"}')
    assert [mail["message"] for mail in again["messages"]] == ["work"]
    done = agents.call(agents.bob, "ack", b'{"message_ids": [1]}')
    assert done == {"success": True, "acknowledged": 1}
    agents.clock.advance(30)
    assert agents.call(agents.bob, "recv", b"")["count"] == 0


def test_no_agent_acknowledges_for_another(agents: Agents) -> None:
    agents.call(agents.ann, "send", b'{"to": 2, "message": "work"}')
    agents.call(agents.bob, "recv", b'{"ack": "manual"}')
    assert agents.call(agents.ann, "ack", b'{"message_ids": [1]}')["acknowledged"] == 0


def test_broadcast(agents: Agents) -> None:
    agents.add("carol")
    assert agents.call(agents.ann, "broadcast", b'{"message": 1}')["delivered_count"] == 2
    own = b'{"message": 1, "include_self": true}'
    assert agents.call(agents.ann, "broadcast", own)["delivered_count"] == 3


def test_a_name_can_be_taken_once(agents: Agents) -> None:
    taken = agents.call(agents.bob, "register", b'{"name": "bob"}')
    assert taken == {"success": True, "agent_id": 2, "name": "bob"}
    with pytest.raises(AlreadyExists):
        agents.call(agents.bob, "register", b'{"name": "ann"}')
    with pytest.raises(InvalidRequest):
        agents.call(agents.bob, "register", b'{"name": "a/b"}')
    assert agents.call(agents.ann, "send", b'{"to_name": "bob", "message": 1}')["delivered_to"] == 2
