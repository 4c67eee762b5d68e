"""What an agent does within its own sandbox, at the cost of the machine."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time

from tests.soak.hostile.frame import W, Way, attack, until_refused


@attack
def forks_without_end(way: Way) -> None:
    while way.goes_on():
        with until_refused():
            if os.fork() == 0:
                with until_refused():
                    os.fork()
                time.sleep(10)
                os._exit(0)
        time.sleep(0.001)


@attack
def threads_without_end(way: Way) -> None:
    with contextlib.suppress(RuntimeError):
        while way.goes_on():
            threading.Thread(target=time.sleep, args=(10,), daemon=True).start()
    way.rest()


@attack
def time_of_the_processor(way: Way) -> None:
    while way.goes_on():
        pass


@attack
def memory_without_end(way: Way) -> None:
    with contextlib.suppress(MemoryError, OSError):
        for _ in range(300):
            way.held.append(bytes(1 << 20))


@attack
def memory_that_is_shared(way: Way) -> None:
    with until_refused():
        for _ in range(4):
            area = mmap.mmap(-1, 16 << 20)
            area.write(b"x" * (16 << 20))
            way.held.append(area)
    way.rest()


@attack
def output_without_end(way: Way) -> None:
    while way.goes_on():
        os.write(1 + way.dice.randrange(2), b"x" * 8191 + b"\n")


@attack
def a_line_without_end(way: Way) -> None:
    while way.goes_on():
        os.write(1, bytes(65536))


@attack
def files_until_refused(way: Way) -> None:
    names = []
    with until_refused():
        for _ in range(500):
            names.append(f"{W}/{way.name()}")
            with open(names[-1], "wb") as file:
                file.write(bytes(1 << 16))
    for name in names:
        with until_refused():
            os.unlink(name)


@attack
def what_one_user_shares(way: Way) -> None:
    """epoll, inotify, pipes, locked memory, queues of messages, keys, signals."""
    libc = ctypes.CDLL(None, use_errno=True)
    with until_refused():
        for _ in range(50):
            poll = select.epoll()
            way.held.append(poll)
            for _ in range(50):
                pair = socket.socketpair()
                way.held.append(pair)
                poll.register(pair[0])
    for _ in range(300):
        libc.inotify_init()
        libc.mlock(ctypes.create_string_buffer(4096), 4096)
        libc.mq_open(f"/{way.name()}".encode(), os.O_CREAT | os.O_RDWR, 0o600, None)
    with until_refused():
        for _ in range(100):
            ends = os.pipe()
            way.held.append(ends)
            fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, 1 << 20)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    with until_refused():
        for _ in range(5000):
            os.kill(os.getpid(), signal.SIGRTMIN)
    way.rest()


@attack
def signals_to_all(way: Way) -> None:
    """To every process that it sees but its first and the one that makes the attacks."""
    keep = {1, os.getpid(), os.getppid()}
    for word in os.listdir("/proc"):
        if word.isdigit() and int(word) not in keep:
            with until_refused():
                os.kill(int(word), signal.SIGSTOP if way.dice.random() < 0.3 else signal.SIGHUP)


@attack
def a_crash(way: Way) -> None:
    sys.stderr.write("now\n")
    os.kill(os.getpid(), signal.SIGSEGV)
