"""Descriptors for which epoll has no room."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator

import pytest

from clove.loop.polling import BeyondEpoll, watch_beyond_epoll


class Full:
    """An epoll object that has room for so many, however many that is at the time."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.real = select.epoll()
        self.close, self.fileno, self.poll = self.real.close, self.real.fileno, self.real.poll
        self.modify = self.real.modify

    def register(self, fd: int, events: int) -> None:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "")
        self.real.register(fd, events)
        self.room -= 1

    def unregister(self, fd: int) -> None:
        self.real.unregister(fd)
        self.room += 1


class Pipes:
    """Some pipes, gone afterwards."""

    def __init__(self) -> None:
        self.open: list[int] = []

    def make(self) -> tuple[int, int]:
        reader, writer = os.pipe()
        self.open += (reader, writer)
        return reader, writer


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    for fd in made.open:
        os.close(fd)


@pytest.fixture
def full() -> Iterator[Full]:
    made = Full(1)
    yield made
    made.close()


def test_what_epoll_has_no_room_for_is_watched_all_the_same(full: Full, pipes: Pipes) -> None:
    poller = BeyondEpoll(full)
    (first, to_first), (second, to_second) = pipes.make(), pipes.make()
    poller.register(first, select.EPOLLIN)
    poller.register(second, select.EPOLLIN)
    assert poller.beyond == {second}
    assert poller.poll(0, 8) == []
    os.write(to_second, b"x")
    assert poller.poll(-1, 8) == [(second, select.EPOLLIN)]
    os.write(to_first, b"x")
    assert sorted(poller.poll(-1, 8)) == [(first, select.EPOLLIN), (second, select.EPOLLIN)]


def test_what_is_looked_for_can_be_changed(full: Full, pipes: Pipes) -> None:
    poller = BeyondEpoll(full)
    (_, first), (_, second) = pipes.make(), pipes.make()
    for fd in (first, second):
        poller.register(fd, 0)
    assert poller.poll(0, 8) == []
    for fd in (first, second):
        poller.modify(fd, select.EPOLLOUT)
    assert sorted(poller.poll(0, 8)) == sorted((fd, select.EPOLLOUT) for fd in (first, second))


def test_as_few_are_told_of_at_once_as_are_asked_for_and_all_have_their_turn(pipes: Pipes) -> None:
    full = Full(30)
    poller = BeyondEpoll(full)
    writers = [pipes.make()[1] for _ in range(21)]
    for fd in writers:
        poller.register(fd, select.EPOLLOUT)
    turns = [[fd for fd, _ in poller.poll(0, 10)] for _ in range(3)]
    assert [len(turn) for turn in turns] == [10] * 3
    assert set().union(*turns) == set(writers)
    full.close()


def test_it_costs_nothing_once_there_is_room_again(full: Full, pipes: Pipes) -> None:
    poller = BeyondEpoll(full)
    (first, _), (second, to_second) = pipes.make(), pipes.make()
    before = poller.poll
    for fd in (first, second):
        poller.register(fd, select.EPOLLIN)
    assert poller.poll != before
    poller.unregister(first)
    poller.unregister(second)
    assert poller.poll == before
    poller.register(second, select.EPOLLIN)
    assert poller.beyond == set()
    os.write(to_second, b"x")
    assert poller.poll(0, 8) == [(second, select.EPOLLIN)]


def test_one_that_was_closed_unannounced_is_dropped(full: Full) -> None:
    full.room = 0
    poller = BeyondEpoll(full)
    reader, writer = os.pipe()
    poller.register(reader, select.EPOLLIN)
    os.close(reader)
    assert poller.poll(0, 8) == []
    assert poller.beyond == set()
    os.close(writer)


def test_another_refusal_is_the_caller_s(full: Full) -> None:
    poller = BeyondEpoll(full)
    with open(os.devnull) as null, pytest.raises(PermissionError):
        poller.register(null.fileno(), select.EPOLLIN)


def test_a_reactor_of_another_kind_stays_as_it_is() -> None:
    class Other:
        _poller = None

    other = Other()
    watch_beyond_epoll(other)
    assert other._poller is None
