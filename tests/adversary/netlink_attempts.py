"""Run as an agent: changes to its network namespace by NETLINK_ROUTE, which it may only read."""

import errno
import socket
import struct
from collections.abc import Iterator

from tests.adversary.attempting import attempt, report

REQUEST, ACKNOWLEDGE, CREATE, DUMP = 0x1, 0x4, 0x400, 0x300
ERROR, DONE = 2, 3
FIRST, LAST = 16, 127
"""RTM_BASE, and more than there are (linux/rtnetlink.h)."""
GETLINK, GETADDR, GETROUTE, SETLINK = 18, 22, 26, 19
SOL_NETLINK, ADD_MEMBERSHIP, LISTEN_ALL_NSID = 270, 1, 8
LOOPBACK = 1


def opened(kind: int = socket.SOCK_RAW) -> socket.socket:
    connection = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    connection.bind((0, 0))
    connection.settimeout(10)
    return connection


def said(kind: int, body: bytes, flags: int = ACKNOWLEDGE) -> Iterator[tuple[int, bytes]]:
    """The messages that answer one."""
    with opened() as connection:
        header = struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 1, 0)
        connection.sendto(header + body, (0, 0))
        while True:
            data = connection.recv(65536)
            while len(data) >= 16:
                length, answer = struct.unpack_from("=IH", data)
                yield answer, data[16:length]
                if answer in (ERROR, DONE):
                    return
                data = data[(length + 3) & ~3 :]


def refusal(kind: int, body: bytes, flags: int = ACKNOWLEDGE) -> str:
    for answer, data in said(kind, body, flags):
        if answer == ERROR:
            (number,) = struct.unpack_from("=i", data)
            return errno.errorcode.get(-number, str(number))
    return "answered"


@attempt
def changes() -> object:
    """Every request but those that only read (their lowest two bits are 2), as bare as may be."""
    kinds = [kind for kind in range(FIRST, LAST) if kind & 3 != 2]
    bodies = (bytes(16), struct.pack("=BxHiII", 0, 0, LOOPBACK, 0, 0xFFFFFFFF))
    found = {refusal(kind, body, ACKNOWLEDGE | CREATE) for kind in kinds for body in bodies}
    return sorted(found - {"ENOTSUP"})  # which no Linux has yet


@attempt
def loopback_down() -> object:
    return refusal(SETLINK, struct.pack("=BxHiII", 0, 0, LOOPBACK, 0, 1))


@attempt
def by_datagrams() -> object:
    with opened(socket.SOCK_DGRAM) as connection:
        body = struct.pack("=BxHiII", 0, 0, LOOPBACK, 0, 1)
        header = struct.pack("=IHHII", 16 + len(body), SETLINK, REQUEST | ACKNOWLEDGE, 1, 0)
        connection.send(header + body)
        (number,) = struct.unpack_from("=i", connection.recv(4096), 16)
        return errno.errorcode[-number]


@attempt
def interfaces() -> object:
    """Names of all that there are, and whether the first is up."""
    names = []
    for answer, data in said(GETLINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0), DUMP):
        if answer == 16:
            flags = struct.unpack_from("=I", data, 8)[0]
            rest = data[16:]
            while len(rest) >= 4:
                length, kind = struct.unpack_from("=HH", rest)
                if kind == 3:
                    names.append([rest[4 : length - 1].decode(), flags & 1])
                rest = rest[(length + 3) & ~3 :]
    return names


@attempt
def listed_by_python() -> object:
    return socket.if_nameindex()


@attempt
def to_another_process() -> object:
    with opened() as receiver, opened() as connection:
        return connection.sendto(bytes(16), (receiver.getsockname()[0], 0))


@attempt
def of_all_namespaces() -> object:
    with opened() as connection:
        connection.setsockopt(SOL_NETLINK, LISTEN_ALL_NSID, 1)
        return "done"


@attempt
def other_protocols() -> object:
    found = set()
    for protocol in range(1, 32):
        try:
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol).close()
            found.add(str(protocol))
        except OSError as error:
            found.add(errno.errorcode[error.errno or 0])
    return sorted(found)


@attempt
def a_filter() -> object:
    with opened() as connection:
        connection.setsockopt(socket.SOL_SOCKET, 26, bytes(16))
        return "done"


@attempt
def loopback_works() -> object:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()[:2], 5).close()
        return True


report()
