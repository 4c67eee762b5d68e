"""TUNNEL_CONNECT and TUNNEL_DISCONNECT at the same time: what is kept is what the last of them says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from clove.errors import Unavailable
from clove.kernel.remote.joined import read_joined
from clove.kernel.remote.settings import RemoteLimits, RemoteSettings, TunnelSettings
from clove.kernel.remote.tunnels import POLL, Tunnels
from clove.tunnel.target import Target

URL = "wss://relay.example:8765"


class Made:
    """A tunnel that connects when it is told to."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.connected = False
        self.problem = ""

    def start(self) -> None:
        """Nothing answers yet."""

    def stop(self) -> None:
        self.connected, self.problem = False, "stopped"


class Maker:
    """Makes these."""

    def __init__(self) -> None:
        self.made: list[Made] = []

    async def target(self, url: str, machine_id: str, token: str, *, changes_relay: bool) -> Target:
        return Target.of(url, machine_id, token)

    async def make(self, target: Target, *_: Any) -> Made:
        self.made.append(Made(target))
        return self.made[-1]


class Kernel:
    """Tunnels of one kernel, the threads of which do their work when they are told to."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.work: list[Callable[[], object]] = []
        self.directory = directory / "tunnel"
        self.directory.mkdir(mode=0o700)
        no: Any = None
        self.tunnels = Tunnels(
            self.clock,
            str(directory),
            TunnelSettings(),
            RemoteSettings(),
            RemoteLimits(),
            accept=no,
            noop=no,
            in_thread=self._in_thread,
            load=lambda name: succeed(None),
            way_out=no,
            resolver=no,
            record=no,
        )
        self.maker = Maker()
        self.tunnels._maker = self.maker  # type: ignore[assignment]

    def _in_thread(self, function: Callable[..., object], *given: object) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.work.append(lambda: done.callback(function(*given)))
        return done

    def join(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.tunnels.join(URL, "one", ""))

    def leave(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.tunnels.leave())

    def connects(self) -> None:
        self.maker.made[-1].connected = True
        self.clock.advance(POLL)

    def works(self) -> None:
        """All threads do what they were given."""
        while self.work:
            self.work.pop()()


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_one_that_leaves_while_a_join_is_being_kept_leaves_nothing_kept(kernel: Kernel) -> None:
    joining = kernel.join()
    kernel.connects()
    leaving = kernel.leave()
    kernel.works()
    assert (joining.called, leaving.called) == (True, True)
    assert leaving.result is True
    assert read_joined(str(kernel.directory)) is None
    assert kernel.tunnels.status().problem == "there is no tunnel"


def test_a_join_that_waits_for_its_relay_gives_up_when_it_is_left(kernel: Kernel) -> None:
    joining = kernel.join()
    leaving = kernel.leave()
    kernel.clock.advance(POLL)
    kernel.works()
    assert leaving.result is True
    failure: Any = joining.result
    joining.addErrback(lambda _: None)
    assert failure.check(Unavailable)
    assert "left meanwhile" in failure.getErrorMessage()


def test_one_that_joins_again_after_leaving_is_kept(kernel: Kernel) -> None:
    kernel.join()
    kernel.connects()
    leaving = kernel.leave()
    again = kernel.join()
    kernel.works()
    kernel.connects()
    kernel.works()
    assert (leaving.called, again.called) == (True, True)
    kept = read_joined(str(kernel.directory))
    assert kept is not None
    assert kept.relay_url == URL
