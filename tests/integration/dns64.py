"""Run as an agent on the host of a test: a resolver that makes IPv6 addresses of IPv4 ones (RFC 6147).

`dns64.py SOCKET PREFIX NAME=ADDRESS...`; it listens on [::1]:53, for UDP alone. PREFIX has 96 bits.
"""

import ipaddress
import socket
import struct
import sys

A, AAAA = 1, 28


def asked(question: bytes) -> tuple[str, int, bytes]:
    """Name, type, and the question's own bytes."""
    at, labels = 12, []
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode().lower())
        at += 1 + size
    (kind,) = struct.unpack_from("!H", question, at + 1)
    return ".".join(labels), kind, question[12 : at + 5]


def answers(address: str, kind: int, prefix: bytes) -> bytes:
    """The address as one of that type; nothing if there is none."""
    packed = ipaddress.ip_address(address).packed
    if kind == AAAA:
        return packed if len(packed) == 16 else prefix + packed
    return packed if kind == A and len(packed) == 4 else b""


def main() -> None:
    prefix = ipaddress.IPv6Address(sys.argv[2]).packed[:12]
    known = dict(words.split("=") for words in sys.argv[3:])
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::1", 53))
    print("up", flush=True)
    while True:
        question, client = server.recvfrom(4096)
        name, kind, text = asked(question)
        found = answers(known[name], kind, prefix) if name in known else b""
        flags = 0x8180 if name in known else 0x8183
        head = question[:2] + struct.pack("!5H", flags, 1, bool(found), 0, 0)
        record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(found)) + found
        server.sendto(head + text + (record if found else b""), client)


if __name__ == "__main__":
    main()
