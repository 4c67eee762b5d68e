"""Run as an agent: takes what Linux counts for a user, as much as it gets, and keeps it.

Told `take`, it says how much of each it has; told `use`, what became of using a little of each.
"""

import array
import ctypes
import errno
import fcntl
import mmap
import os
import select
import signal
import socket

from clove import CloveClient

libc = ctypes.CDLL(None, use_errno=True)
kept: list[object] = []
MANY = 100_000
ROUNDS = 300


def call(name: str, *args: object) -> int:
    result = int(getattr(libc, name)(*args))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def in_flight() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    kept.extend((ours, theirs))
    ours.setblocking(False)
    fds = array.array("i", [0] * 100)
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])


def inotify_instance() -> None:
    kept.append(call("inotify_init1", 0))


def inotify_watch() -> None:
    if not places:
        places.append(call("inotify_init1", 0))
    for _ in range(100):
        path = f"/workspace/watched-{len(places)}"
        os.mkdir(path)
        call("inotify_add_watch", places[0], path.encode(), 0x100)
        places.append(0)


places: list[int] = []


def queued_signal() -> None:
    for _ in range(100):
        call("sigqueue", os.getpid(), signal.SIGRTMIN + 1, None)


def timer() -> None:
    handle = ctypes.c_void_p()
    call("timer_create", 1, None, ctypes.byref(handle))


def message_queue() -> None:
    name = f"/clove-{len(kept)}".encode()
    kept.append(call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None))


def locked() -> None:
    memory = mmap.mmap(-1, 256 << 10)
    kept.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    call("mlock", ctypes.c_void_p(start), ctypes.c_size_t(256 << 10))


def big_pipe() -> None:
    reader, writer = os.pipe()
    kept.extend((reader, writer))
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)


def epoll_watch() -> None:
    reader, writer = os.pipe()
    watch = select.epoll()
    watch.register(reader, select.EPOLLIN)
    kept.extend((reader, writer, watch))


TAKE = (
    in_flight,
    inotify_instance,
    inotify_watch,
    message_queue,
    locked,
    big_pipe,
    epoll_watch,
    timer,
    queued_signal,
)


def take() -> dict[str, list[object]]:
    """Name to how often it could be had, and what stopped it."""
    taken: dict[str, list[object]] = {}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN + 1])
    for each in TAKE:
        count, stopped = 0, ""
        for count in range(ROUNDS):  # noqa: B007
            try:
                each()
            except OSError as error:
                stopped = errno.errorcode.get(error.errno or 0, str(error))
                break
        taken[each.__name__] = [count, stopped]
    return taken


def use() -> dict[str, str]:
    """Name to `had`, or to what stopped it."""
    used = {}
    for each in (inotify_instance, inotify_watch, timer, message_queue, locked, epoll_watch, pipe):
        try:
            each()
            used[each.__name__] = "had"
        except OSError as error:
            used[each.__name__] = errno.errorcode.get(error.errno or 0, str(error))
    return used


def pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x" * 4096)
    os.read(reader, 4096)


if __name__ == "__main__":
    with CloveClient() as client:
        while True:
            for mail in client.recv_messages(wait=60)["messages"]:
                client.send_message({"take": take, "use": use}[mail["message"]](), to=mail["from"])
