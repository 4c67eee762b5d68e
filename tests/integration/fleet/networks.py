"""Two network namespaces, and a router between them that delays, loses, drops and resets what it carries.

Real sockets send real packets: each namespace has a TUN device, and a thread of the test carries packets
from one to the other. Needs root and /dev/net/tun, and nothing of iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator

__all__ = ["MISSING", "Namespace", "Network", "network"]

TUN = "/dev/net/tun"
MISSING = next(
    (
        words
        for missing, words in (
            (os.geteuid() != 0, "needs root, to make network namespaces"),
            (not os.path.exists(TUN), f"needs {TUN}, to carry packets between namespaces"),
            (shutil.which("nsenter") is None, "needs nsenter (util-linux)"),
        )
        if missing
    ),
    "",
)
"""Why there can be no such network here; "": there can."""
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU = 0x8914, 0x8916, 0x891C, 0x8922
IFF_UP = 1
MTU = 9000
DEVICE = b"clove0"
RST, ACK = 4, 16


def _libc(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """A network namespace, held by a descriptor; it has loopback and one device.

    @ivar tun: packets that leave it, and those that are to come.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._namespace = self.tun = -1
        self._linux = ctypes.CDLL(None, use_errno=True)
        maker = threading.Thread(target=self._make)
        maker.start()
        maker.join()
        assert self.tun >= 0, "the namespace could not be made"

    def _make(self) -> None:
        """In a thread of its own, which leaves the namespace of the others."""
        _libc(self._linux.unshare(CLONE_NEWNET))
        self._namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        tun = os.open(TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", DEVICE, IFF_TUN | IFF_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
            fcntl.ioctl(asked, SIOCSIFMTU, struct.pack("16si12x", DEVICE, MTU))
        self.tun = tun
        self._configure(self.address)

    def _configure(self, address: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            for what, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.0")):
                inet = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(asked, what, struct.pack("16s16s", DEVICE, inet))
            fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sH14x", DEVICE, IFF_UP))

    def move(self, address: str) -> None:
        """Have another address, as a laptop in another network has."""
        with self.inside():
            self._configure(address)
        self.address = address

    def up(self, up: bool) -> None:
        """Take the device up or down."""
        with self.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sH14x", DEVICE, IFF_UP if up else 0))

    @property
    def prefix(self) -> tuple[str, ...]:
        """A command that runs another one in here."""
        return ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self._namespace}")

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes are in here, and those of threads that it starts."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _libc(self._linux.setns(self._namespace, CLONE_NEWNET))
            yield
        finally:
            _libc(self._linux.setns(before, CLONE_NEWNET))
            os.close(before)

    def close(self) -> None:
        os.close(self.tun)
        os.close(self._namespace)


class Network(threading.Thread):
    """Two namespaces and the router between them.

    @ivar near, far: the namespaces.
    @ivar delay: seconds that each packet takes.
    @ivar loss: of a hundred packets, how many get lost.
    @ivar resets: how many connections were reset.
    @ivar is_resetting: the next packet with data has not come yet.
    @ivar dropping: what gets lost altogether: C{near} and C{far}, the namespace that it comes from.
    """

    def __init__(self, seed: int = 8) -> None:
        super().__init__(daemon=True)
        self.near, self.far = Namespace("10.77.0.1"), Namespace("10.77.0.2")
        self.delay = self.loss = 0.0
        self.dropping: frozenset[str] = frozenset()
        self.resets = 0
        self._dice = random.Random(seed)
        self._due: list[tuple[float, int, int, bytes]] = []
        self._numbers = itertools.count()
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.is_resetting = False
        self.start()

    def cut(self) -> None:
        """Nothing arrives any more, on either side."""
        self.dropping = frozenset(("near", "far"))

    def heal(self) -> None:
        """All arrives again, at once."""
        self.delay = self.loss = 0.0
        self.dropping = frozenset()

    def reset(self) -> None:
        """Reset the connection of the next packet with data, as a middlebox that has forgotten it."""
        self.is_resetting = True

    def stop(self) -> None:
        os.close(self._woken)
        self.join()
        os.close(self._wake)
        self.near.close()
        self.far.close()

    # the thread

    def run(self) -> None:
        names = {self.near.tun: "near", self.far.tun: "far"}
        other = {self.near.tun: self.far.tun, self.far.tun: self.near.tun}
        poll = select.poll()
        for fd in (*names, self._wake):
            poll.register(fd, select.POLLIN)
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 1.0
            ready = poll.poll(wait * 1000 + (1 if self._due else 0))
            for fd, _ in ready:
                if fd == self._wake:
                    return
                self._read(fd, names[fd], other[fd])
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, fd, packet = heapq.heappop(self._due)
                _write(fd, packet)

    def _read(self, fd: int, name: str, other: int) -> None:
        for _ in range(64):
            try:
                packet = os.read(fd, 1 << 16)
            except OSError:
                return
            if packet[0] >> 4 != 4 or name in self.dropping:
                continue
            if self.loss and self._dice.random() * 100 < self.loss:
                continue
            if self.is_resetting and (both := _resets(packet)):
                self.is_resetting = False
                self.resets += 1
                _write(other, both[0])
                _write(fd, both[1])
            elif self.delay:
                entry = (time.monotonic() + self.delay, next(self._numbers), other, packet)
                heapq.heappush(self._due, entry)
            else:
                _write(other, packet)


def _write(fd: int, packet: bytes) -> None:
    with contextlib.suppress(OSError):  # the device is down
        os.write(fd, packet)


def _resets(packet: bytes) -> tuple[bytes, bytes] | None:
    """In place of a packet with data: resets of its connection, for the receiver and the sender."""
    head = (packet[0] & 15) * 4
    if packet[9] != socket.IPPROTO_TCP:
        return None
    tcp = packet[head:]
    if len(tcp) <= (tcp[12] >> 4) * 4:
        return None
    source, target = packet[12:16], packet[16:20]
    near, far, sequence, acknowledged = struct.unpack(">HHII", tcp[:12])
    return (
        _reset(source, target, near, far, sequence, acknowledged),
        _reset(target, source, far, near, acknowledged, sequence),
    )


def _reset(
    source: bytes, target: bytes, near: int, far: int, sequence: int, acknowledged: int
) -> bytes:
    tcp = struct.pack(">HHIIBBHHH", near, far, sequence, acknowledged, 5 << 4, RST | ACK, 0, 0, 0)
    pseudo = source + target + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + _checksum(pseudo + tcp) + tcp[18:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0)
    head += source + target
    return head[:10] + _checksum(head) + head[12:] + tcp


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network, gone afterwards."""
    found = Network()
    try:
        yield found
    finally:
        found.stop()
