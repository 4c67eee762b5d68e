"""Ports of an agent on this host: as they are written, and as they are shown."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clove.cli.option_types import Parsed

__all__ = ["PORT", "PUBLISHED", "parse_port", "parse_published", "remark_on_ports", "shown_ports"]

FORM = "[HOST:][HOSTPORT:]PORT, as 8000, 8080:8000 or 127.0.0.1:8080:8000"


def parse_published(text: str) -> dict[str, Any]:
    """`[HOST:][HOSTPORT:]PORT`, as SPAWN has it.

    HOST is an address of the loopback (an IPv6 one in brackets); HOSTPORT is the agent's PORT unless
    it is named, and 0 is one that is free.

    @raise ValueError: it is none.
    """
    rest, slash, protocol = text.partition("/")
    if slash and protocol != "tcp":
        raise ValueError(f"{text!r}: ports of TCP alone can be published, not of {protocol or '?'}")
    host, parts = "", rest.split(":")
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        if not bracket or not after.startswith(":"):
            raise ValueError(f"{text!r} is not {FORM}")
        parts = after[1:].split(":")
    elif not parts[0].replace("-", "").isdigit():
        host, parts = parts[0], parts[1:]
        if not host or not parts:
            raise ValueError(f"{text!r} is not {FORM}")
    found: dict[str, Any] = {"host": _address(host)} if host else {}
    if len(parts) == 2 and not parts[0]:  # docker writes a free port so
        raise ValueError(f"{text!r}: for a free port write 0: {host}:0:{parts[1]}")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        hint = "; one port each, not a range" if "-" in rest else ""
        raise ValueError(f"{text!r} is not {FORM}{hint}")
    numbers = [_number(part, text) for part in parts]
    if numbers[-1] == 0:
        raise ValueError(f"{text!r}: port 0 is for the host alone, as 0:{8000}")
    if len(numbers) == 2:
        found["host_port"] = numbers[0]
    return {"port": numbers[-1], **found}


def _number(part: str, text: str) -> int:
    if len(part) > 5 or int(part) > 65535:
        raise ValueError(f"{text!r}: {part} is no port, which is at most 65535")
    return int(part)


def _address(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(
            f"{host!r} is no address of this host's loopback: 127.0.0.1 or [::1]"
        ) from None
    if not address.is_loopback:
        raise ValueError(
            f"ports are published on this host's loopback alone, as 127.0.0.1, not on {host}; "
            "have a proxy listen there"
        )
    return str(address)


def parse_port(text: str) -> int:
    """`[HOST:]HOSTPORT` of a published port.

    @raise ValueError: it is none.
    """
    last = text.rpartition(":")[2]
    if not last.isdigit() or not 1 <= int(last[:6]) <= 65535:
        raise ValueError(f"{text!r} is no port of this host, such as 8080")
    return int(last)


PUBLISHED = Parsed("[host:][hostport:]port", parse_published)
PORT = Parsed("hostport", parse_port)


def shown_ports(ports: Iterable[Mapping[str, Any]]) -> str:
    """`127.0.0.1:8080->8000` of each."""
    return ", ".join(f"{_shown_host(one)}:{one['host_port']}->{one['port']}" for one in ports)


def remark_on_ports(ports: Sequence[Mapping[str, Any]]) -> str:
    """What is said about those that a program is started with; "" for none."""
    return f"published: {shown_ports(ports)}" if ports else ""


def _shown_host(port: Mapping[str, Any]) -> str:
    host = str(port["host"])
    return f"[{host}]" if ":" in host else host
