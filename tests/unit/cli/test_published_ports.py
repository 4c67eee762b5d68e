"""Ports as they are written on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from clove.cli.published_ports import parse_port, parse_published, shown_ports


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8000", {"port": 8000}),
        ("8000/tcp", {"port": 8000}),
        ("8080:8000", {"port": 8000, "host_port": 8080}),
        ("0:8000", {"port": 8000, "host_port": 0}),
        ("127.0.0.1:8000", {"port": 8000, "host": "127.0.0.1"}),
        ("127.0.0.2:8080:8000", {"port": 8000, "host": "127.0.0.2", "host_port": 8080}),
        ("localhost:8000", {"port": 8000, "host": "127.0.0.1"}),
        ("[::1]:8080:8000", {"port": 8000, "host": "::1", "host_port": 8080}),
        ("[::1]:8000", {"port": 8000, "host": "::1"}),
    ],
)
def test_the_forms(text: str, found: dict[str, Any]) -> None:
    assert parse_published(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.0.0.0:8080:8000", "loopback alone"),
        ("[::]:8000", "loopback alone"),
        ("192.0.2.1:8000", "loopback alone"),
        ("example.com:8000", "no address of this host's loopback"),
        ("127.0.0.1::8000", "127.0.0.1:0:8000"),
        ("8000-8010:8000-8010", "not a range"),
        ("8000/udp", "TCP alone"),
        ("8080:0", "port 0 is for the host"),
        ("70000", "at most 65535"),
        ("1:2:3", "is not"),
        ("", "is not"),
        (":8000", "is not"),
        ("[::1:8000", "is not"),
        ("web", "is not"),
    ],
)
def test_what_is_none_is_refused_with_the_form_that_is_near(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_published(text)


def test_a_port_of_the_host_is_named_with_or_without_its_address() -> None:
    assert (parse_port("8080"), parse_port("127.0.0.1:8080")) == (8080, 8080)
    for text in ("", "http", "0", "65536", "8080:x"):
        with pytest.raises(ValueError, match="no port"):
            parse_port(text)


def test_ports_are_shown_as_they_lead() -> None:
    ports = [
        {"host": "127.0.0.1", "host_port": 8080, "port": 80},
        {"host": "::1", "host_port": 1, "port": 2},
    ]
    assert shown_ports(ports) == "127.0.0.1:8080->80, [::1]:1->2"
