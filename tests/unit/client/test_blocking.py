"""The blocking client: calls, errors, time-outs and threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from clove import CloveClient
from clove.client.limits import ClientLimits
from clove.errors import (
    AlreadyExists,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    TimedOut,
)
from clove.framing import Opcode
from tests.unit.client.echoing import asked, echo
from tests.waiting import until


@pytest.fixture
def client(peer: Any) -> Iterator[CloveClient]:
    peer.answer = echo
    with CloveClient(peer.path) as client:
        yield client


def test_an_error_with_a_code_is_raised_and_one_without_is_a_result(peer: Any) -> None:
    replies = {
        Opcode.KILL: {
            "success": False,
            "error": "no such agent",
            "code": "not_found",
            "hint": "look",
        },
        Opcode.EXEC: {"success": False, "exit_code": 3, "stdout": "", "stderr": "oh"},
        Opcode.HTTP: {"success": False, "status_code": 404, "body": ""},
        Opcode.STORE: {"success": False, "error": "version", "code": "already_exists"},
    }
    peer.answer = lambda ask: replies[ask.opcode]
    with CloveClient(peer.path) as client:
        with pytest.raises(NotFound) as caught:
            client.kill("nobody")
        assert caught.value.hint == "look"
        assert client.exec("false")["exit_code"] == 3
        assert client.http("http://x/")["status_code"] == 404
        with pytest.raises(AlreadyExists):
            client.store("k", 1, if_version=7)


def test_sends_only_the_fields_that_were_given(client: CloveClient) -> None:
    assert asked(client.send_message({"a": None}, to_name="bob")) == {
        "message": {"a": None},
        "to_name": "bob",
    }
    assert asked(client.send_message("hi", "bob", ttl=3)) == {
        "message": "hi",
        "to_name": "bob",
        "ttl": 3,
    }
    assert asked(client.store("k", None)) == {"key": "k", "value": None}
    assert asked(client.kill(7)) == {"id": 7}
    assert asked(client.exec("ls", async_=True, request_id="r")) == {
        "command": "ls",
        "timeout": 30.0,
        "async": True,
        "request_id": "r",
    }


def test_refuses_what_cannot_be_asked(client: CloveClient) -> None:
    with pytest.raises(InvalidRequest):
        client.kill()
    with pytest.raises(InvalidRequest):
        client.send_message("x")
    with pytest.raises(InvalidRequest):
        client.store("k", {1, 2})
    with pytest.raises(InvalidRequest):
        client.store("k", float("nan"))
    with pytest.raises(InvalidRequest):
        client.store("\ud800", 1)
    with pytest.raises(LimitExceeded):
        client.noop(bytes((1 << 20) + 1))
    assert client.noop(bytes(1 << 20)) == bytes(1 << 20)


def test_on_version_1_a_late_reply_is_not_taken_for_another(peer: Any) -> None:
    peer.version = 1
    late: list[Any] = []
    peer.answer = lambda ask: late.append(ask) if ask.opcode == Opcode.WAIT else echo(ask)
    with CloveClient(peer.path) as client:
        client.noop()  # connected, however long that takes
        client.timeout = 0.02
        with pytest.raises(TimedOut):
            client.wait("a", timeout=0.01)
        client.timeout = 30
        until(lambda: late, "the peer has read the request")

        def answer(ask: Any) -> Any:
            late[0].reply({"success": True, "reason": "exited"})
            return echo(ask)

        peer.answer = answer
        assert asked(client.fetch("k")) == {"key": "k"}


def test_threads_share_a_connection_with_replies_in_any_order(peer: Any) -> None:
    held: list[Any] = []
    everyone = threading.Event()

    def answer(ask: Any) -> None:
        held.append(ask)
        if len(held) == 8:
            for one in reversed(held):
                one.reply({"success": True, "key": one.fields["key"]})
            everyone.set()

    peer.answer = answer
    results: dict[str, str] = {}
    with CloveClient(peer.path) as client:

        def ask(key: str) -> None:
            reply: Any = client.fetch(key)
            results[key] = reply["key"]

        threads = [threading.Thread(target=ask, args=(f"k{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert results == {f"k{n}": f"k{n}" for n in range(8)}
    assert len(peer.links) == 1


def test_many_threads_make_many_calls(client: CloveClient) -> None:
    wrong: list[object] = []

    def work(mark: bytes) -> None:
        for number in range(200):
            data = mark * (number + 1)
            if client.noop(data) != data:
                wrong.append(data)

    threads = [threading.Thread(target=work, args=(bytes([65 + n]),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)


def test_big_requests_and_big_replies_do_not_hold_each_other_up(peer: Any) -> None:
    peer.answer = lambda ask: ask.body * 8
    with CloveClient(peer.path) as client:
        done: list[int] = []

        def work() -> None:
            for _ in range(4):
                done.append(len(client.noop(bytes(1 << 20))))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert done == [8 << 20] * 16


def test_too_many_calls_in_flight_are_refused(peer: Any) -> None:
    peer.answer = lambda ask: None
    with CloveClient(peer.path, limits=ClientLimits(outstanding=2)) as client:
        streams = [client.follow_logs("a") for _ in range(2)]
        with pytest.raises(LimitExceeded):
            client.follow_logs("a")
        streams[0].close()
        streams[0] = client.follow_logs("a")
