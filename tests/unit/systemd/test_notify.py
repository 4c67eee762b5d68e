"""What the service manager is told, over a real datagram socket; time is a Clock."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from clove.systemd import notify
from clove.systemd.notify import Notifier


class Manager:
    """The service manager's end."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.setblocking(False)

    def environ(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.path, "PATH": "/bin", **more}

    def heard(self) -> list[str]:
        """Lines of all that has come."""
        lines: list[str] = []
        while True:
            try:
                lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, short_dir: str) -> Iterator[Manager]:
    name = "notify"
    made = Manager(f"{short_dir}/{name}" if request.param == "path" else f"@{short_dir}/{name}")
    yield made
    made.socket.close()


@pytest.fixture(autouse=True)
def no_stacks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """pytest has its own faulthandler."""
    enabled: list[object] = []
    monkeypatch.setattr(faulthandler, "enable", enabled.append)
    return enabled


def test_it_says_when_it_is_ready_and_how_it_is(manager: Manager) -> None:
    clock = Clock()
    notifier = Notifier.from_environment(clock, manager.environ())
    assert manager.heard() == []
    agents = ["agents: 0"]
    notifier.ready(lambda: agents[0])
    assert manager.heard() == ["READY=1", "STATUS=agents: 0"]
    clock.advance(notify.STATUS_SECONDS)
    assert manager.heard() == []
    agents[0] = "agents: 1\nREADY=0\x1b"
    clock.advance(notify.STATUS_SECONDS)
    assert manager.heard() == ["STATUS=agents: 1 READY=0 "]
    notifier.reloading()
    first, second = manager.heard()
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    notifier.reloaded()
    notifier.stopping()
    assert manager.heard() == ["READY=1", "STOPPING=1", "STATUS=stopping"]
    notifier.close()
    assert not clock.getDelayedCalls()


def test_signs_of_life_come_twice_in_the_watchdogs_time_until_it_has_ended(
    manager: Manager, no_stacks: list[object]
) -> None:
    clock = Clock()
    environ = manager.environ(WATCHDOG_USEC="4000000", WATCHDOG_PID=str(os.getpid()))
    notifier = Notifier.from_environment(clock, environ)
    assert environ == {"PATH": "/bin"}
    assert notifier.watchdog == 4.0
    notifier.ready(lambda: "")
    assert manager.heard() == ["READY=1", "STATUS=", "WATCHDOG=1"]
    assert len(no_stacks) == 1
    for _ in range(2):
        clock.advance(2.0)
        assert manager.heard() == ["WATCHDOG=1"]
    notifier.stopping()
    manager.heard()
    clock.advance(2.0)
    assert manager.heard() == ["WATCHDOG=1"]
    notifier.close()
    clock.advance(10.0)
    assert manager.heard() == []


def test_without_a_service_manager_it_does_nothing() -> None:
    for address in ("", "/", "vsock:2:1"):
        clock = Clock()
        notifier = Notifier.from_environment(
            clock, {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}
        )
        notifier.ready(lambda: pytest.fail("asked for no one"))
        notifier.reloading()
        notifier.stopping()
        notifier.close()
        assert not notifier.is_there
        assert not clock.getDelayedCalls()


@pytest.mark.parametrize(
    "environ", [{"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {}]
)
def test_a_watchdog_of_another_process_is_not_its_own(
    short_dir: str, environ: dict[str, str]
) -> None:
    manager = Manager(f"{short_dir}/notify")
    notifier = Notifier.from_environment(Clock(), manager.environ(**environ))
    assert notifier.watchdog == 0
    notifier.close()
    manager.socket.close()


def test_what_there_is_no_room_for_is_sent_later_and_nothing_waits(short_dir: str) -> None:
    manager = Manager(f"{short_dir}/notify")
    clock = Clock()
    notifier = Notifier(clock, manager.path)
    full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    full.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            full.sendto(b"X=1", manager.path)
    notifier.ready(lambda: "one")
    notifier.reloading()
    notifier.reloaded()
    assert set(manager.heard()) == {"X=1"}
    clock.advance(notify.AGAIN_SECONDS)
    heard = manager.heard()
    assert heard[0] == "STATUS=one"
    assert heard[-1] == "READY=1"
    assert "RELOADING=1" in heard
    notifier.close()
    full.close()
    manager.socket.close()


def test_a_manager_that_is_gone_is_said_once_and_ends_nothing(short_dir: str) -> None:
    clock = Clock()
    notifier = Notifier(clock, f"{short_dir}/nobody", 2.0)
    notifier.ready(lambda: "")
    clock.pump([1.0] * 5)
    notifier.close()
