"""A network namespace in which every way leads to one listening socket (netfilter's NAT).

Every IPv4 address is made local to the namespace's loopback device, so that no
packet has anywhere else to go, and a NAT rule turns every TCP connection that
is not to 127.0.0.0/8 to one socket. Where it wanted to go is then
`SO_ORIGINAL_DST` of the accepted socket. Raw netlink messages (rtnetlink(7),
`linux/netfilter/nf_tables.h`), since no program of the host may be relied on.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct

__all__ = ["add_address", "redirect_tcp", "route_everything_to_loopback"]

NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLM_F_CREATE, NLM_F_EXCL, NLM_F_APPEND = 0x400, 0x200, 0x800
NLMSG_ERROR = 2
NETLINK_NETFILTER = 12

RTM_NEWADDR, RTM_NEWROUTE = 20, 24
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF = 1, 4
RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL = 255, 4, 254, 2

NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 0x10, 0x11
NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE = 0, 3, 6
NF_INET_LOCAL_OUT = 3
NF_IP_PRI_NAT_DST = -100
NESTED = 0x8000
NFT_REG_1, NFT_REG_2 = 1, 2
NFT_META_L4PROTO = 16
NFT_PAYLOAD_NETWORK_HEADER = 1
NFT_CMP_EQ, NFT_CMP_NEQ = 0, 1
NFT_NAT_DNAT = 1
DESTINATION = 16
"""Where the destination begins in an IPv4 header."""

TABLE = b"clove\0"
CHAIN = b"out\0"


def add_address(address: str) -> None:
    """Give this namespace's loopback device an address.

    @param address: of 127.0.0.0/8.
    @raise OSError: not the right privileges in the namespace.
    """
    header = struct.pack("4BI", _socket.AF_INET, 32, 0, RT_SCOPE_HOST, _socket.if_nametoindex("lo"))
    local = _socket.inet_aton(address)
    body = header + _attribute(IFA_LOCAL, local) + _attribute(IFA_ADDRESS, local)
    message = _message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 1, body)
    _exchange(_socket.NETLINK_ROUTE, message, 1)


def route_everything_to_loopback() -> None:
    """Make every IPv4 address one of this namespace's own (`ip route add local 0.0.0.0/0 dev lo`).

    @raise OSError: not the right privileges in the namespace.
    """
    loopback = _socket.if_nametoindex("lo")
    family = _socket.AF_INET
    header = struct.pack(
        "8BI", family, 0, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL, 0
    )
    body = header + _attribute(RTA_OIF, struct.pack("I", loopback))
    message = _message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 1, body)
    _exchange(_socket.NETLINK_ROUTE, message, 1)


def redirect_tcp(address: str, port: int) -> None:
    """Turn every TCP connection that is made here, but to 127.0.0.0/8, to one address and port.

    @raise OSError: no nf_tables in this kernel, or not the right privileges.
    """
    table = _attribute(1, TABLE)
    hook = _number(1, NF_INET_LOCAL_OUT) + _number(2, NF_IP_PRI_NAT_DST & 0xFFFFFFFF)
    chain = (
        _attribute(1, TABLE)
        + _attribute(3, CHAIN)
        + _attribute(4 | NESTED, hook)
        + _attribute(7, b"nat\0")
    )
    expressions = _redirecting(address, port)
    rule = _attribute(1, TABLE) + _attribute(2, CHAIN) + _attribute(4 | NESTED, expressions)
    batch = b"".join(
        (
            _netfilter(NFNL_MSG_BATCH_BEGIN, 0, 1, b"", NFNL_SUBSYS_NFTABLES),
            _tables(NFT_MSG_NEWTABLE, NLM_F_CREATE, 2, table),
            _tables(NFT_MSG_NEWCHAIN, NLM_F_CREATE, 3, chain),
            _tables(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, 4, rule),
            _netfilter(NFNL_MSG_BATCH_END, 0, 5, b"", NFNL_SUBSYS_NFTABLES),
        )
    )
    _exchange(NETLINK_NETFILTER, batch, 3)


def _redirecting(address: str, port: int) -> bytes:
    """The rule's expressions: TCP, not to 127.0.0.0/8, gets another destination."""
    return b"".join(
        (
            _expression(b"meta", (1, NFT_REG_1), (2, NFT_META_L4PROTO)),
            _compare(NFT_CMP_EQ, bytes([_socket.IPPROTO_TCP])),
            _expression(
                b"payload",
                (1, NFT_REG_1),
                (2, NFT_PAYLOAD_NETWORK_HEADER),
                (3, DESTINATION),
                (4, 1),
            ),
            _compare(NFT_CMP_NEQ, bytes([127])),
            _immediate(NFT_REG_1, _socket.inet_aton(address)),
            _immediate(NFT_REG_2, struct.pack("!H", port)),
            _expression(
                b"nat", (1, NFT_NAT_DNAT), (2, _socket.AF_INET), (3, NFT_REG_1), (5, NFT_REG_2)
            ),
        )
    )


def _exchange(protocol: int, messages: bytes, acknowledgements: int) -> None:
    """Send a batch and wait until each of its messages is acknowledged.

    @raise OSError: the first refusal.
    """
    connection = _socket.socket(
        _socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol
    )
    try:
        connection.bind((0, 0))
        connection.sendto(messages, (0, 0))
        while acknowledgements > 0:
            data = connection.recv(65536)
            while len(data) >= 16:
                length, kind = struct.unpack_from("IH", data)
                if kind == NLMSG_ERROR:
                    (number,) = struct.unpack_from("i", data, 16)
                    if number:
                        raise OSError(-number, os.strerror(-number), "netlink")
                    acknowledgements -= 1
                if length < 16:
                    raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG), "netlink")
                data = data[(length + 3) & ~3 :]
    finally:
        connection.close()


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("IHHII", 16 + len(body), kind, NLM_F_REQUEST | flags, sequence, 0) + body


def _netfilter(kind: int, flags: int, sequence: int, body: bytes, resource: int) -> bytes:
    family = _socket.AF_INET if kind > 0xFF else 0
    return _message(kind, flags, sequence, struct.pack("!BBH", family, 0, resource) + body)


def _tables(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _netfilter(NFNL_SUBSYS_NFTABLES << 8 | kind, flags | NLM_F_ACK, sequence, body, 0)


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("HH", 4 + len(value), kind) + value + padding


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!I", value))


def _expression(name: bytes, *numbers: tuple[int, int], rest: bytes = b"") -> bytes:
    data = b"".join(_number(kind, value) for kind, value in numbers) + rest
    return _attribute(1 | NESTED, _attribute(1, name + b"\0") + _attribute(2 | NESTED, data))


def _compare(operator: int, value: bytes) -> bytes:
    wanted = _attribute(3 | NESTED, _attribute(1, value))
    return _expression(b"cmp", (1, NFT_REG_1), (2, operator), rest=wanted)


def _immediate(register: int, value: bytes) -> bytes:
    return _expression(
        b"immediate", (1, register), rest=_attribute(2 | NESTED, _attribute(1, value))
    )
