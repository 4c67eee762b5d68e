"""STORE, FETCH, DELETE and KEYS as a client's bytes reach them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.errors import AlreadyExists, CloveError, InvalidRequest, LimitExceeded
from clove.kernel.calls import state as calls
from clove.kernel.context import Context, Kernel
from clove.kernel.principal import Kind, Principal
from clove.kernel.state import StateStore
from clove.messages import decode, encode
from clove.messages import state as messages
from clove.policy import Level, for_level
from tests.contracts.answers import Slow, settled


class Agents:
    """Two agents and a kernel with a state store, at once or slow."""

    def __init__(self, slow: bool) -> None:
        self.clock = Clock()
        self.slow = slow
        store = StateStore(self.clock)
        self.store: Any = Slow(self.clock, store) if slow else store
        self.ann, self.bob = (Principal(id, Kind.AGENT, for_level(Level.STANDARD)) for id in (1, 2))

    def call(self, name: str, request: bytes, who: Principal | None = None) -> Any:
        kernel = cast(Kernel, SimpleNamespace(state=self.store))
        kind = getattr(messages, f"{name.capitalize()}Request")
        reply = getattr(calls, name)(Context(kernel, who or self.ann), decode(kind, request))
        if self.slow:
            reply = settled(self.clock, Deferred.fromCoroutine(reply))
        return msgspec.json.decode(encode(reply))


@pytest.fixture(params=[False, True], ids=["at once", "slow"])
def agents(request: pytest.FixtureRequest) -> Agents:
    return Agents(slow=request.param)


def test_a_value_comes_back_as_it_was(agents: Agents) -> None:
    stored = agents.call("store", b'{"key": "k", "value": {"a": [1, null, "\\n"]}}')
    assert stored == {"success": True, "key": "k", "version": 1}
    assert agents.call("fetch", b'{"key": "k"}', agents.bob) == {
        "success": True,
        "exists": True,
        "value": {"a": [1, None, "\n"]},
        "scope": "global",
        "version": 1,
    }


def test_a_null_is_a_value(agents: Agents) -> None:
    agents.call("store", b'{"key": "k", "value": null}')
    fetched = agents.call("fetch", b'{"key": "k"}')
    assert (fetched["exists"], fetched["value"]) == (True, None)


def test_what_is_not_there_is_no_error(agents: Agents) -> None:
    assert agents.call("fetch", b'{"key": "k"}') == {
        "success": True,
        "exists": False,
        "value": None,
        "scope": "",
        "version": 0,
    }
    assert agents.call("delete", b'{"key": "k"}') == {"success": True, "deleted": False}
    nothing = {"success": True, "keys": [], "count": 0, "truncated": False}
    assert agents.call("keys", b"") == nothing


def test_keys_and_delete(agents: Agents) -> None:
    for key in (b"a/1", b"a/2", b"b"):
        agents.call("store", b'{"key": "%s", "value": 1}' % key)
    agents.call("store", b'{"key": "a/3", "value": 1, "scope": "agent"}')
    assert agents.call("keys", b'{"prefix": "a/"}')["keys"] == ["a/1", "a/2", "a/3"]
    assert agents.call("keys", b'{"prefix": "a/"}', agents.bob)["count"] == 2
    assert agents.call("delete", b'{"key": "a/1"}')["deleted"] is True
    assert agents.call("keys", b'{"prefix": "a/"}')["keys"] == ["a/2", "a/3"]


def test_only_one_of_two_wins_a_race(agents: Agents) -> None:
    claim = b'{"key": "task", "value": 1, "if_version": 0}'
    agents.call("store", claim, agents.ann)
    with pytest.raises(AlreadyExists):
        agents.call("store", claim, agents.bob)


@pytest.mark.parametrize(
    ("name", "request_", "error"),
    [
        ("store", b'{"value": 1}', InvalidRequest),
        ("store", b'{"key": "k"}', InvalidRequest),
        ("store", b'{"key": 1, "value": 1}', InvalidRequest),
        ("store", b'{"key": "", "value": 1}', InvalidRequest),
        ("store", b'{"key": "k", "value": 1, "scope": "world"}', InvalidRequest),
        ("store", b'{"key": "k", "value": 1, "ttl": 0}', InvalidRequest),
        ("store", b'{"key": "k", "value": 1, "if_version": -1}', InvalidRequest),
        ("store", b'{"key": "k", "value": "\xff"}', InvalidRequest),
        ("store", b'{"key": "k", "value": ' + b"[" * 500 + b"]" * 500 + b"}", LimitExceeded),
        ("fetch", b"{}", InvalidRequest),
        ("delete", b"{}", InvalidRequest),
        ("keys", b'{"prefix": 1}', InvalidRequest),
    ],
)
def test_what_makes_no_sense(
    agents: Agents, name: str, request_: bytes, error: type[CloveError]
) -> None:
    with pytest.raises(error):
        agents.call(name, request_)
