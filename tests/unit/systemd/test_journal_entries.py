"""Log entries as the journal gets them, over a real datagram socket."""

from __future__ import annotations

import atexit
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from clove.systemd import journal
from clove.systemd.journal import JournalObserver


class Journal:
    """The other end of the native protocol."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)

    def entries(self) -> list[dict[str, str]]:
        found = []
        while True:
            try:
                found.append(fields_of(self.socket.recv(1 << 20)))
            except BlockingIOError:
                return found


def fields_of(data: bytes) -> dict[str, str]:
    """As systemd's documentation has them (JOURNAL_NATIVE_PROTOCOL)."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


@pytest.fixture
def there(short_dir: str) -> Iterator[Journal]:
    made = Journal(f"{short_dir}/journal")
    yield made
    made.socket.close()


@pytest.fixture
def observer(there: Journal) -> Iterator[JournalObserver]:
    made = JournalObserver("clove-test", there.path)
    yield made
    made.close()


@pytest.fixture
def log(observer: JournalObserver) -> Logger:
    return Logger("clove.part", observer=LogPublisher(observer))


def test_an_entry_has_its_text_its_priority_and_what_it_is_about(
    log: Logger, there: Journal, observer: JournalObserver
) -> None:
    verifyObject(ILogObserver, observer)
    log.warn("agent {agent} left something behind: {error}", agent=7, error="busy", key="sk-1")
    assert there.entries() == [
        {
            "MESSAGE": "agent 7 left something behind: busy",
            "PRIORITY": "4",
            "SYSLOG_IDENTIFIER": "clove-test",
            "CLOVE_AGENT": "7",
            "CLOVE_PART": "clove.part",
            "CLOVE_EVENT": "agent {agent} left something behind: {error}",
        }
    ]


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", "7"), ("info", "6"), ("warn", "4"), ("error", "3"), ("critical", "2")],
)
def test_levels_are_the_journals(log: Logger, there: Journal, level: str, priority: str) -> None:
    log.emit(LogLevel.levelWithName(level), "said")
    [entry] = there.entries()
    assert entry["PRIORITY"] == priority


def test_a_traceback_is_one_entry(log: Logger, there: Journal) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        log.failure("{name} failed", Failure(), name="SPAWN")
    [entry] = there.entries()
    assert entry["MESSAGE"].startswith("SPAWN failed\nTraceback")
    assert "ValueError: odd" in entry["MESSAGE"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a\x1b[2Jb\x00c", "a\ufffd[2Jb\ufffdc"),
        ("one\nPRIORITY=0", "one\nPRIORITY=0"),
        ("x" * 20000, "x" * journal.MOST_CHARACTERS + " (cut)"),
        ("\ud800", "\ufffd"),
    ],
)
def test_what_others_wrote_forges_no_field_and_drives_no_terminal(
    log: Logger, there: Journal, said: str, shown: str
) -> None:
    log.info("{text}", text=said, machine="m\nPRIORITY=0")
    [entry] = there.entries()
    assert entry["MESSAGE"] == shown
    assert entry["PRIORITY"] == "6"
    assert entry["CLOVE_MACHINE"] == "m\nPRIORITY=0"


def fill(there: Journal) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                full.sendto(b"FULL=1\n", there.path)


def test_entries_wait_for_a_slow_journal_in_order_and_the_oldest_are_counted(
    log: Logger, there: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_KEPT", 3)
    fill(there)
    for number in range(5):
        log.info("{number}", number=number)
    assert {"FULL": "1"} in there.entries()
    log.info("last")
    texts = [entry["MESSAGE"] for entry in there.entries()]
    assert texts == ["3 entries are lost: the journal had no room for them", "3", "4", "last"]


def test_an_entry_larger_than_a_datagram_may_be_holds_nothing_up(there: Journal) -> None:
    with contextlib.closing(JournalObserver("clove-kernel", there.path)) as observer:
        observer._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least, some kB
        observer({"log_format": "x" * 16000, "log_level": LogLevel.info})
        observer({"log_format": "after it", "log_level": LogLevel.info})
        told = [entry["MESSAGE"] for entry in there.entries()]
    assert told == ["1 entries are lost: the journal had no room for them", "after it"]


def test_what_waits_is_written_at_the_end(
    log: Logger, there: Journal, observer: JournalObserver
) -> None:
    fill(there)
    log.info("the end")
    there.entries()
    observer.flush()
    assert [entry["MESSAGE"] for entry in there.entries()] == ["the end"]


def test_without_a_journal_nothing_is_raised(short_dir: str) -> None:
    observer = JournalObserver("clove-test", f"{short_dir}/none")
    event: dict[str, Any] = {"log_format": "said", "log_level": LogLevel.info}
    for _ in range(3):
        observer(event)
    observer.flush()
    observer.close()


def test_twistd_is_given_one_for_each_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[Any] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    for factory, name in (
        (journal.kernel, "clove-kernel"),
        (journal.relay, "clove-relay"),
        (journal.tunnel, "clove-tunnel"),
    ):
        made = factory()
        assert dict(made._fields({}))["SYSLOG_IDENTIFIER"] == name
        assert registered.pop() == made.flush
        made.close()
