"""The http syscall as a way inside: rows 12, 16 and 17 of the attacks, asked by an agent."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.adversary.arena import Arena
from tests.integration.gateway_upstream import Upstream, upstream

SCRIPT = """
import json, sys
from clove import CloveClient
from clove.errors import CloveError

found = {}
with CloveClient() as client:
    for url in json.loads(sys.argv[-1])["urls"]:
        try:
            reply = client.http(url, timeout=10)
            found[url] = ["reached", reply["status_code"], reply["body"]]
        except CloveError as error:
            found[url] = [error.code, getattr(error, "rule", None)]
print(json.dumps(found))
"""
INSIDE = [
    "http://127.0.0.1/",
    "http://127.0.0.2:{port}/",
    "http://127.1.2.3:{other}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[64:ff9b::7f00:1]/",
    "http://[fd00:ec2::254]/",
    "http://0.0.0.0:{port}/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://224.0.0.1/",
    "http://local.test:{other}/",
    "http://localhost:{other}/",
]
"""Denied: not public, and no rule names them with this port."""
OTHER_SCHEMES = ["file:///etc/passwd", "gopher://127.0.0.1:{port}/", "ftp://127.0.0.1/"]
ODD = [
    "http://0x7f000001:{port}/",
    "http://2130706433:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://local.test%00.evil.test:{port}/",
    "http://local.test%2eevil.test:{port}/",
    "http://local.test\\@evil.test:{port}/",
    "http://user@local.test:{port}/",
    "http://local.test:{port}@evil.test/",
    "http://local.test evil.test:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://local.test:{port}\r\nX: y/",
    "http://local..test:{port}/",
]
"""No plain hosts: errors, whatever the rules say."""
UNLISTED = [
    "http://evil.test:{port}/",
    "http://local.test.evil.test:{port}/",
    "http://xlocal.test:{port}/",
    "http://sub.local.test:{port}/",
    "http://l\u043ecal.test:{port}/",
    "http://local.test:{other}/",
    "https://local.test/",
]
"""Denied by rules that list names."""
SAME = [
    "http://LOCAL.test.:{port}/",
    "http://local\u3002test:{port}/",
    "http://\uff4cocal.test:{port}/",
]
"""Other spellings of a listed name: the one normaliser makes them the same."""


@pytest.fixture(scope="module")
def outside() -> Iterator[Upstream]:
    """The servers that rules name."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory,
        upstream(directory) as servers,
    ):
        yield servers


def filled(urls: list[str], servers: Upstream) -> list[str]:
    ports = {"port": servers.plain.port, "other": servers.secure.port}
    return [url.format(**ports) for url in urls]


def redirected(urls: list[str], servers: Upstream) -> list[str]:
    """The same by a redirect from a server that a rule names."""
    base = f"http://local.test:{servers.plain.port}/to/"
    return [base + quote(url, safe="") for url in filled(urls, servers)]


@pytest.fixture(scope="module")
def listed(arena: Arena, outside: Upstream) -> dict[str, Any]:
    """What an agent got that has rules with names and ports; `seen` is what arrived outside."""
    for server in outside.servers:
        server.seen.clear()
    urls = filled(ODD + UNLISTED + SAME + OTHER_SCHEMES + INSIDE, outside)
    urls += redirected(ODD + UNLISTED + OTHER_SCHEMES + INSIDE, outside)
    rules = [f"local.test:{outside.plain.port}", f"127.0.0.1:{outside.plain.port}"]
    permissions = {"can_http": True, "allowed_domains": rules}
    found: dict[str, Any] = arena.run(SCRIPT, json.dumps({"urls": urls}), permissions=permissions)
    found["seen"] = b"".join(piece for server in outside.servers for piece in server.seen)
    return found


@pytest.fixture(scope="module")
def wide(arena: Arena, outside: Upstream) -> dict[str, Any]:
    """The same for rules that list everything there is, and one server on loopback."""
    urls = filled(OTHER_SCHEMES + INSIDE, outside) + redirected(OTHER_SCHEMES + INSIDE, outside)
    port = outside.plain.port
    rules = ["*", "0.0.0.0/0", "::/0", f"local.test:{port}", f"127.0.0.1:{port}"]
    permissions = {"can_http": True, "allowed_domains": rules}
    found: dict[str, Any] = arena.run(SCRIPT, json.dumps({"urls": urls}), permissions=permissions)
    return found


def test_the_default_profile_has_no_http(arena: Arena, outside: Upstream) -> None:
    url = f"http://local.test:{outside.plain.port}/"
    found = arena.run(SCRIPT, json.dumps({"urls": [url]}))
    assert found[url][0] == "permission_denied"


def codes(found: dict[str, Any], urls: list[str]) -> set[str]:
    """How requests ended, each with its URL unless it is an error's code."""
    return {found[url][0] if found[url][0] != "reached" else url for url in urls}


def test_addresses_inside_are_denied_whatever_names_are_listed(
    wide: dict[str, Any], outside: Upstream
) -> None:
    assert codes(wide, filled(INSIDE, outside)) == {"permission_denied"}
    assert codes(wide, redirected(INSIDE, outside)) == {"permission_denied"}


def test_other_schemes_are_denied(
    wide: dict[str, Any], listed: dict[str, Any], outside: Upstream
) -> None:
    for found in (wide, listed):
        assert codes(found, filled(OTHER_SCHEMES, outside)) == {"permission_denied"}
        assert codes(found, redirected(OTHER_SCHEMES, outside)) == {"permission_denied"}


def test_what_is_no_plain_host_is_an_error(listed: dict[str, Any], outside: Upstream) -> None:
    assert codes(listed, filled(ODD, outside)) == {"invalid_request"}
    # In a reply's head a line break makes two fields, of which the first is harmless.
    in_one_line = [url for url in ODD if "\r" not in url]
    assert codes(listed, redirected(in_one_line, outside)) == {"invalid_request"}


def test_what_no_rule_lists_is_denied(listed: dict[str, Any], outside: Upstream) -> None:
    assert codes(listed, filled(UNLISTED + INSIDE, outside)) == {"permission_denied"}
    assert codes(listed, redirected(UNLISTED + INSIDE, outside)) == {"permission_denied"}


def test_spellings_of_a_listed_name_are_one_name(listed: dict[str, Any], outside: Upstream) -> None:
    assert [listed[url] for url in filled(SAME, outside)] == [["reached", 200, "hi"]] * len(SAME)


def test_nothing_refused_has_arrived(listed: dict[str, Any], outside: Upstream) -> None:
    hosts = {
        line.split(b": ")[1].lower()
        for line in listed["seen"].split(b"\r\n")
        if line.lower().startswith(b"host: ")
    }
    assert hosts == {f"local.test:{outside.plain.port}".encode()}
    assert outside.secure.seen == []
