"""Descriptors that peers send to the kernel's sockets, on a Linux that can refuse them and on others."""

from __future__ import annotations

import array
import os
import select
import socket
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater

from clove.framing import encode
from clove.kernel import unix_port
from clove.kernel.listening import listen
from clove.kernel.unix_port import Admission
from clove.sandbox.disposal import Disposal
from tests.frame_end import FrameEnds

with socket.socket(socket.AF_UNIX) as _probe:
    HERE = unix_port.refuse_descriptors(_probe)


class Held(Disposal):
    """Closes nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__(reactor)
        self.held: list[tuple[Callable[[], object], Callable[[], None] | None]] = []

    def pending(self, owner: Hashable) -> int:
        return len(self.held)

    def dispose(
        self,
        owner: Hashable,
        close: Callable[[], object],
        done: Callable[[], None] | None = None,
    ) -> None:
        self.held.append((close, done))

    def go_on(self) -> None:
        held, self.held = self.held, []
        for close, done in held:
            close()
            if done is not None:
                done()


class Place:
    """A listening socket."""

    def __init__(self, path: str, pretend: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        if pretend:
            monkeypatch.setenv("CLOVE_TEST_NO_PASSRIGHTS", "1")
        self.path = path
        self.factory = FrameEnds(echoes=False, refusal=b"no")
        self.disposal = Held()
        self.port: Any = None

    async def listen(self, most: int = 100) -> Place:
        self.port = await listen(
            reactor,
            self.factory,
            self.path,
            0o600,
            disposal=self.disposal,
            admission=Admission(owner="agent", most=most),
        )
        return self

    def connect(self) -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        end.connect(self.path)
        return end

    async def stop(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for one in self.factory.made:
            one.channel.abort()
        await until(lambda: all(one.lost_times for one in self.factory.made))
        self.disposal.go_on()


async def until(there: Callable[[], bool]) -> None:
    while not there():
        await deferLater(reactor, 0)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await deferLater(reactor, 0)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading end tells when nobody holds the writing end any more."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def give(end: socket.socket, descriptor: int, flags: int = 0) -> None:
    """Send a descriptor and keep none."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
    try:
        end.sendmsg([b"T"], [rights], flags)
    finally:
        os.close(descriptor)


def is_closed(reading: int) -> bool:
    return bool(select.select([reading], [], [], 0)[0])


@pytest.mark.skipif(not HERE, reason="needs Linux 6.16")
@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("flags", [0, socket.MSG_OOB])
async def test_the_operating_system_refuses_descriptors(
    short_dir: str,
    monkeypatch: pytest.MonkeyPatch,
    pipe: tuple[int, int],
    accepted: bool,
    flags: int,
) -> None:
    place = await Place(f"{short_dir}/s", False, monkeypatch).listen()
    with place.connect() as end:
        if accepted:
            await until(lambda: len(place.factory.made) == 1)
        with pytest.raises(PermissionError):
            give(end, pipe[1], flags)
    await place.stop()


@pytest.mark.parametrize("flags", [0, socket.MSG_OOB])
async def test_on_an_older_linux_a_sender_of_one_is_cut_off_and_it_is_closed_elsewhere(
    short_dir: str, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int], flags: int
) -> None:
    place = await Place(f"{short_dir}/s", True, monkeypatch).listen()
    with place.connect() as end:
        frame = encode(0, 0, b"first")
        end.send(frame)
        await until(lambda: bool(place.factory.made and place.factory.made[0].frames))
        give(end, pipe[1], flags)
        await until(lambda: bool(place.factory.made[0].lost_times))
        assert place.factory.made[0].broken is not None
        assert end.recv(10) == b"no"
        assert end.recv(10) == b""
        with pytest.raises(BrokenPipeError):
            end.send(b"more")
        assert not is_closed(pipe[0])
        place.disposal.go_on()
        assert is_closed(pipe[0])
    await place.stop()


async def test_on_an_older_linux_descriptors_behind_a_whole_frame_are_not_dropped_with_it(
    short_dir: str, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    place = await Place(f"{short_dir}/s", True, monkeypatch).listen()
    with place.connect() as end:
        end.send(encode(0, 0, b"first"))
        give(end, pipe[1])
        await until(lambda: bool(place.factory.made and place.factory.made[0].lost_times))
        assert not is_closed(pipe[0])
        place.disposal.go_on()
        assert is_closed(pipe[0])
    await place.stop()


@pytest.mark.parametrize("end_first", [True, False], ids=["the agent ends first", "the kernel"])
async def test_on_an_older_linux_what_was_never_read_is_closed_elsewhere(
    short_dir: str, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int], end_first: bool
) -> None:
    place = await Place(f"{short_dir}/s", True, monkeypatch).listen()
    end = place.connect()
    await until(lambda: len(place.factory.made) == 1)
    place.factory.made[0].channel.pause()
    give(end, pipe[1])
    if end_first:
        end.close()
    place.factory.made[0].channel.abort()
    await until(lambda: bool(place.factory.made[0].lost_times))
    assert not is_closed(pipe[0])
    place.disposal.go_on()
    assert is_closed(pipe[0])
    end.close()
    await place.stop()


async def test_on_an_older_linux_what_was_never_accepted_is_closed_elsewhere(
    short_dir: str, monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    place = await Place(f"{short_dir}/s", True, monkeypatch).listen()
    place.port.stopReading()
    end = place.connect()
    give(end, pipe[1])
    await maybeDeferred(place.port.stopListening)
    assert not is_closed(pipe[0])
    assert not os.path.exists(place.path)
    place.disposal.go_on()
    assert is_closed(pipe[0])
    end.close()


async def test_no_more_is_accepted_while_much_of_the_owners_is_being_closed(
    short_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await Place(f"{short_dir}/s", True, monkeypatch).listen(most=2)
    for _ in range(2):
        place.connect().close()
    await until(lambda: len(place.disposal.held) == 2)
    with place.connect():
        await turns()
        assert len(place.factory.made) == 2
        place.disposal.go_on()
        await until(lambda: len(place.factory.made) == 3)
    await place.stop()


async def test_closes_of_one_owner_do_not_wait_for_anothers(pipe: tuple[int, int]) -> None:
    disposal = Disposal(reactor)
    reading, writing = pipe
    blocked: Deferred[None] = Deferred()
    quick: Deferred[None] = Deferred()
    disposal.dispose("slow", lambda: os.read(reading, 1), lambda: blocked.callback(None))
    disposal.dispose("slow", lambda: None)
    disposal.dispose("quick", lambda: None, lambda: quick.callback(None))
    await quick
    assert disposal.pending("quick") == 0
    assert disposal.pending("slow") == 2
    os.close(writing)
    await blocked
    await until(lambda: disposal.pending("slow") == 0)
    disposal.stop()


async def test_a_close_does_not_wait_for_a_peer_that_reads_nothing() -> None:
    with socket.socket() as listening, socket.socket() as end:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        end.connect(listening.getsockname())
        end.setblocking(False)
        try:
            while True:
                end.send(b"x" * 65536)
        except BlockingIOError:
            pass
        linger = array.array("i", [1, 3600]).tobytes()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        end.setblocking(True)
        disposal = Disposal(reactor)
        disposal.start()
        over: Deferred[None] = Deferred()
        disposal.dispose("agent", end.close, lambda: over.callback(None))
        await over
        disposal.stop()
