"""What all clients do alike: the same cases against each of them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from clove.client.limits import ClientLimits
from clove.errors import (
    ConnectionLost,
    Internal,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    TimedOut,
)
from clove.framing import MAX_REPLY, Opcode
from tests.contracts.clients import Kind, case
from tests.unit.client.echoing import QUICK, echo


@case
async def test_speaks_version_2_and_takes_its_id(kind: Kind, peer: Any) -> None:
    peer.answer = echo
    async with kind.connected(peer.path) as client:
        assert (client.protocol_version, client.agent_id) == (2, 1)
        assert client.connected
        assert client.socket_path == peer.path
        assert (await kind.ask(client, "hello"))["kernel_version"] == "test"
        assert await kind.ask(client, "noop", b"\x00abc") == b"\x00abc"
        assert (await kind.ask(client, "fetch", "k"))["asked"] == {"key": "k"}


@pytest.mark.parametrize("version", [0, 1])
def test_falls_back_to_version_1(kind: Kind, peer: Any, version: int) -> object:
    async def asked_in_order() -> None:
        async with kind.connected(peer.path) as client:
            assert client.protocol_version == 1
            replies = await kind.ask_all(client, *(("noop", b"%d" % n) for n in range(20)))
            assert replies == [b"%d" % n for n in range(20)]

    peer.version = version
    peer.answer = echo
    return kind.run(asked_in_order())


def test_says_how_to_start_a_kernel_that_is_not_there(kind: Kind, socket_directory: Path) -> object:
    async def refused() -> None:
        with pytest.raises(ConnectionLost) as caught:
            await kind.ask(kind.client(f"{socket_directory}/none"), "connect")
        assert "no kernel listens" in caught.value.message
        assert "twistd -n clove-kernel" in caught.value.hint

    return kind.run(refused())


@case
async def test_raises_what_a_kernel_says_to_a_stranger(kind: Kind, peer: Any) -> None:
    peer.refusal = {"success": False, "error": "not you", "code": "permission_denied", "rule": "r"}
    with pytest.raises(PermissionDenied, match="not you") as caught:
        await kind.ask(kind.client(peer.path), "connect")
    assert caught.value.rule == "r"


@case
async def test_errors_are_typed_and_results_without_success_are_results(
    kind: Kind, peer: Any
) -> None:
    replies: dict[int, Any] = {
        Opcode.KILL: {"success": False, "error": "who?", "code": "not_found", "hint": "look"},
        Opcode.EXEC: {"success": False, "exit_code": 1},
        Opcode.FETCH: b"no JSON",
    }
    peer.answer = lambda ask: replies[ask.opcode]
    async with kind.connected(peer.path) as client:
        with pytest.raises(NotFound, match="who") as caught:
            await kind.ask(client, "kill", "somebody")
        assert caught.value.hint == "look"
        assert (await kind.ask(client, "exec", "false"))["exit_code"] == 1
        with pytest.raises(Internal, match="not JSON"):
            await kind.ask(client, "fetch", "k")


@case
async def test_refuses_what_cannot_be_asked(kind: Kind, peer: Any) -> None:
    async with kind.connected(peer.path) as client:
        with pytest.raises(LimitExceeded, match="over the limit"):
            await kind.ask(client, "noop", bytes((1 << 20) + 1))
        with pytest.raises(InvalidRequest):
            await kind.ask(client, "store", "k", float("nan"))
        assert peer.opcodes() == ["HELLO"]


@case
async def test_replies_come_in_any_order(kind: Kind, peer: Any) -> None:
    held: list[Any] = []

    def answer(ask: Any) -> None:
        held.append(ask)
        if len(held) == 3:
            for one in reversed(held):
                one.reply({"success": True, "key": one.fields["key"]})

    peer.answer = answer
    async with kind.connected(peer.path) as client:
        replies = await kind.ask_all(client, *(("fetch", key) for key in "abc"))
        assert [reply["key"] for reply in replies] == ["a", "b", "c"]


@case
async def test_the_largest_reply_is_taken_and_a_larger_one_is_not(kind: Kind, peer: Any) -> None:
    sizes = iter((MAX_REPLY, MAX_REPLY + 1))
    peer.answer = lambda ask: bytes(next(sizes)) if ask.opcode == Opcode.NOOP else None
    async with kind.connected(peer.path, limits=QUICK) as client:
        assert len(await kind.ask(client, "noop")) == MAX_REPLY
        peer.answer = lambda ask: bytes(MAX_REPLY + 1)
        with pytest.raises(ConnectionLost, match="makes no sense"):
            await kind.ask(client, "noop")


@case
async def test_big_requests_and_big_replies_do_not_hold_each_other_up(
    kind: Kind, peer: Any
) -> None:
    peer.answer = echo
    body = bytes(1 << 20)
    async with kind.connected(peer.path) as client:
        replies = await kind.ask_all(client, *[("noop", body)] * 20)
        assert [len(reply) for reply in replies] == [1 << 20] * 20


@case
async def test_a_time_out_cancels_and_leaves_the_connection_usable(kind: Kind, peer: Any) -> None:
    peer.answer = lambda ask: echo(ask) if ask.opcode == Opcode.NOOP else None
    async with kind.connected(peer.path) as client:
        client.timeout = 0.02
        with pytest.raises(TimedOut):
            await kind.ask(client, "wait", "a", timeout=0.01)
        client.timeout = 30
        assert await kind.ask(client, "noop", b"x") == b"x"
        assert peer.opcodes() == ["HELLO", "WAIT", "CANCEL", "NOOP"]
        assert len(peer.links) == 1


@case
async def test_a_kernel_that_never_greets_is_a_time_out_each_time(kind: Kind, peer: Any) -> None:
    peer.version = None
    client = kind.client(peer.path, timeout=0.02)
    for _ in range(2):
        with pytest.raises(TimedOut):
            await kind.ask(client, "noop")
    await kind.ask(client, "close")


@case
async def test_streams_give_pieces_and_then_the_whole(kind: Kind, peer: Any) -> None:
    def answer(ask: Any) -> Any:
        assert ask.fields["stream"] is True
        ask.reply({"success": True, "content": "one "}, more=True)
        ask.reply({"success": True, "content": "two"}, more=True)
        return {"success": True, "content": "one two", "tokens": 2}

    peer.answer = answer
    async with kind.connected(peer.path) as client:
        pieces, whole = await kind.stream(client, "think_stream", "count")
        assert pieces == ["one ", "two"]
        assert (whole["content"], whole["tokens"]) == ("one two", 2)


@case
async def test_a_stream_on_version_1_comes_in_one_piece(kind: Kind, peer: Any) -> None:
    peer.version = 1
    peer.answer = lambda ask: {"success": True, "stdout": "out", "stderr": "err", "exit_code": 0}
    async with kind.connected(peer.path) as client:
        pieces, whole = await kind.stream(client, "exec_stream", "x")
        assert pieces == [("stdout", "out"), ("stderr", "err")]
        assert whole["exit_code"] == 0


@case
async def test_a_stream_that_fails_raises_after_its_pieces(kind: Kind, peer: Any) -> None:
    def answer(ask: Any) -> Any:
        ask.reply({"success": True, "lines": [{"offset": 0}]}, more=True)
        return {"success": False, "error": "gone", "code": "not_found"}

    peer.answer = answer
    async with kind.connected(peer.path) as client:
        with pytest.raises(NotFound, match="gone"):
            await kind.stream(client, "follow_logs", "a")


@case
async def test_pushed_events_are_given_in_order(kind: Kind, peer: Any) -> None:
    def answer(ask: Any) -> Any:
        for number in range(3):
            ask.link.push({"type": "CUSTOM", "data": {"n": number}})
        return {"success": True}

    peer.answer = answer
    async with kind.connected(peer.path) as client:
        await kind.ask(client, "subscribe", "CUSTOM", push=True)
        events = [await kind.next_event(client) for _ in range(3)]
        assert [event["data"]["n"] for event in events] == [0, 1, 2]


@case
async def test_too_many_calls_in_flight_are_refused(kind: Kind, peer: Any) -> None:
    held: list[Any] = []
    peer.answer = held.append
    limits = ClientLimits(outstanding=1)
    async with kind.connected(peer.path, limits=limits) as client:
        client.timeout = 0.1
        errors = await kind.ask_all(client, ("store", "a", 1), ("store", "b", 1))
        assert {type(error) for error in errors} == {TimedOut, LimitExceeded}
        client.timeout = 30
        assert len(held) == 1


@case
async def test_exit_gives_the_goodbye(kind: Kind, peer: Any) -> None:
    client = kind.client(peer.path)
    assert await kind.ask(client, "exit") == "goodbye"
    assert not client.connected


def test_the_socket_comes_from_the_environment(
    kind: Kind, peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOVE_SOCKET", peer.path)
    assert kind.client().socket_path == peer.path


def test_a_relative_script_is_the_callers(
    kind: Kind, peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> object:
    async def spawn() -> None:
        async with kind.connected(peer.path) as client:
            reply = await kind.ask(client, "spawn", "a", "agent.py")
            assert reply["asked"]["script"] == str(tmp_path / "agent.py")

    (tmp_path / "agent.py").write_text("")
    monkeypatch.chdir(tmp_path)
    peer.answer = echo
    return kind.run(spawn())


@case
async def test_a_full_queue_of_connections_is_waited_for(kind: Kind, peer: Any) -> None:
    """connect(2) of a Unix socket says EAGAIN then, which is no failure of the kernel's."""
    path = f"{peer.path}-full"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(path)
        server.listen(0)
        first.connect(path)
        with pytest.raises(TimedOut):
            await kind.ask(kind.client(path, timeout=0.05), "connect")
