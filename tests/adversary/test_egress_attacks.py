"""Ways out of an agent's network: rows 11 to 15 and 17 of the attacks, from inside an agent.

Whatever an attempt comes to inside, nothing of it may arrive at the servers outside.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adversary.arena import Arena
from tests.integration.gateway_upstream import WEB, Upstream, upstream

RESET, REFUSED, UNREACHABLE = "ECONNRESET", "ECONNREFUSED", "ENETUNREACH"
OK = "HTTP/1.1 200"
NAMES = [
    "evil.test",
    "api.test.evil.test",
    "sub.api.test",
    "api.test%00.evil.test",
    "api.test@evil.test",
    "evil.test#api.test",
    "api.test evil.test",
    "fe80::1%lo.api.test",
    "\u0430pi.test",
    "api\u3002test\u3002evil\u3002test",
    "2130706433",
    "0x7f000001",
]
LABELS = [b"evil\0.api.test", b"api.test\0", b"api\\.test", b"a" * 63 + b".api.test", b"api.test\n"]
HEADS = [
    "GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: web.test\r\nHost: evil.test\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: web.test\0.evil.test\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: web.test%00.evil.test\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: web.test@evil.test\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: web.test evil.test\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: web.test:81\r\n\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: w\u0435b.test\r\n\r\n".encode().decode("latin-1"),
    "GET /smuggled HTTP/1.1\r\nHost: [fe80::1%25lo]\r\n\r\n",
    "GET http://evil.test/smuggled HTTP/1.1\r\nHost: web.test\r\n\r\n",
    "GET http://web.test@evil.test/smuggled HTTP/1.1\r\nHost: web.test\r\n\r\n",
    "GET http://web.test/smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "CONNECT evil.test:443 HTTP/1.1\r\nHost: web.test\r\n\r\nsmuggled",
    "GET /smuggled HTTP/1.1\nHost: web.test\n\n",
    "POST /smuggled HTTP/1.1\r\nHost: web.test\r\nContent-Length: 5\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /smuggled HTTP/1.1\r\nHost: web.test\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\nabcd",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsmuggled",
]
PIPELINED = [
    "GET /a HTTP/1.1\r\nHost: web.test\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    "GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
]
NAMING_ANOTHER = b" HTTP/1.1\r\nHost: evil.test\r\n\r\n"
ODD = [
    [b"GET /smuggled\xff" + NAMING_ANOTHER],
    [b"GET /smuggled\tx" + NAMING_ANOTHER],
    [b"GET /smugg", b"led" + NAMING_ANOTHER],
    [b"\r\nGET /smuggled" + NAMING_ANOTHER],
    [b"\r\n", b"GET /smuggled" + NAMING_ANOTHER],
    [b" GET /smuggled" + NAMING_ANOTHER],
    [b"get /smuggled" + NAMING_ANOTHER],
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsmuggled"],
    [b"GET /smuggled\r\n"],
    [b"\xef\xbb\xbfGET /smuggled" + NAMING_ANOTHER],
    [b"(GET) /smuggled" + NAMING_ANOTHER],
    [b"G:T /smuggled" + NAMING_ANOTHER],
    [b"G\xc3", b"T /smuggled" + NAMING_ANOTHER],
    [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /smuggled" + NAMING_ANOTHER],
    [b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET /smuggled" + NAMING_ANOTHER],
    [b"\x80\x2e\x01\x03\x01smuggled"],
    [b"\x15\x03\x01\0\2\1\0", b"smuggled"],
]
"""Requests and handshakes on a port where anything may be spoken."""
GOOD_HEADS = [
    "GET / HTTP/1.1\r\nHost: WEB.test.:80\r\n\r\n",
    "GET http://web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n",
]
SERVER_NAMES = ["api.test.evil.test", "evil.test", "xn--pi-7kc.test", "API.test"]


def static_program(address: str, port: int) -> bytes:
    """An ELF file of x86-64 that connects, reads a byte and ends with the errno as its code."""
    target = struct.pack("<H", 2) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)
    start = bytes.fromhex("b829000000 bf02000000 be01000000 31d2 0f05 89c7 488d35".replace(" ", ""))
    rest = bytes.fromhex(
        "ba10000000 b82a000000 0f05 85c0 780c 31c0 4889e6 ba01000000 0f05"
        "f7d8 89c7 b83c000000 0f05".replace(" ", "")
    )
    code = start + struct.pack("<i", len(rest)) + rest + target
    base, head = 0x400000, 64 + 56
    elf = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 2, 62, 1)
    elf += struct.pack("<QQQ", base + head, 64, 0) + struct.pack("<IHHHHHH", 0, 64, 56, 1, 0, 0, 0)
    size = head + len(code)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096) + code


@pytest.fixture(scope="module")
def outside() -> Iterator[Upstream]:
    """The servers that rules name."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory,
        upstream(directory) as servers,
    ):
        yield servers


@pytest.fixture(scope="module")
def inside(arena: Arena, outside: Upstream) -> dict[str, Any]:
    """What every attempt came to; `seen` is what arrived outside meanwhile, `log` the agent's."""
    plain, secure = outside.plain.port, outside.secure.port
    rules = [f"{host}:{port}" for host in ("api.test", "127.0.0.1") for port in (plain, secure)]
    rules += [f"{host}:{port}" for host in ("web.test", WEB) for port in (80, 443)]
    rules += [f"local.test:{plain}"]
    servers = (*outside.servers, *outside.web)
    for server in servers:
        server.seen.clear()
    facts = {
        "plain": plain,
        "secure": secure,
        "web": 80,
        "webs": 443,
        "names": NAMES,
        "labels": [label.hex() for label in LABELS],
        "heads": HEADS + PIPELINED + GOOD_HEADS,
        "server_names": SERVER_NAMES,
        "odd": [[piece.hex() for piece in pieces] for pieces in ODD],
        "static": static_program("198.51.100.7", 80).hex(),
    }
    reply = arena.begin_attempts(
        "egress_attempts.py", facts, network=True, permissions={"allowed_domains": rules}
    )
    found: dict[str, Any] = arena.printed(reply["id"])
    lines = arena.client.logs(reply["id"])["lines"]
    found["log"] = "\n".join(line["text"] for line in lines if line["stream"] == "stderr")
    found["seen"] = b"".join(piece for server in servers for piece in server.seen)
    return found


needs_web = pytest.mark.skipif(
    os.getuid() != 0, reason="an ordinary user cannot listen on the ports of the web"
)


def test_what_rules_list_is_reached(inside: dict[str, Any]) -> None:
    assert inside["allowed"] == inside["allowed tls"] == OK
    assert inside["listed port of a local name"] == OK


def test_nothing_of_an_attempt_arrives(inside: dict[str, Any]) -> None:
    for word in (b"evil", b"smuggled", b"dns.google", b"secret-data", b"8.8.8.8"):
        assert word not in inside["seen"]


def test_proxy_variables_are_not_what_holds(inside: dict[str, Any]) -> None:
    """Row 11: there is no proxy to be left out."""
    assert inside["proxy_variables"] == []
    assert inside["without_proxy"] == "ConnectionResetError"
    assert inside["with_a_proxy_of_the_hosts"] == "ConnectionRefusedError"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="its code is of x86-64")
def test_a_static_program_gets_no_further(inside: dict[str, Any]) -> None:
    assert inside["static_program"] == 104  # ECONNRESET


def test_other_sockets_and_shells_get_no_further(inside: dict[str, Any]) -> None:
    assert inside["bash"] == ""
    assert inside["raw socket"] == inside["packet socket"] == "EPERM"
    assert inside["transparent"] == "EPERM"


def test_addresses_of_no_rule_are_refused(inside: dict[str, Any]) -> None:
    assert {inside[f"address {index}"] for index in range(5)} == {RESET}
    assert inside["address 6"] == UNREACHABLE
    assert inside["loopback of the host"] == REFUSED
    assert "clove: network: 169.254.169.254:80 refused (allowed_domains)" in inside["log"]


def test_odd_names_have_no_address(inside: dict[str, Any]) -> None:
    """Row 12. Numbers are addresses to libc, and judged as such."""
    for index, name in enumerate(NAMES):
        found = inside[f"name {index}"]
        if name in ("2130706433", "0x7f000001"):
            assert found in ("gaierror", ["127.0.0.1"]), name  # its own loopback
        else:
            assert found in ("gaierror", "UnicodeError"), name


def test_odd_labels_have_no_address(inside: dict[str, Any]) -> None:
    for index, label in enumerate(LABELS):
        code, answers = inside[f"label {index}"]
        assert code != 0, label
        assert answers == 0, label


@needs_web
def test_requests_that_name_another_or_can_be_read_twice_are_refused(
    inside: dict[str, Any],
) -> None:
    for index, head in enumerate(HEADS):
        assert inside[f"head {index}"] in (RESET, ""), head


@needs_web
def test_the_second_of_two_requests_is_judged(inside: dict[str, Any]) -> None:
    first = len(HEADS)
    for index in range(len(PIPELINED)):
        assert inside[f"head {first + index}"] in (RESET, "", OK)
    assert b"smuggled" not in inside["seen"]
    assert inside["log"].count("refused (host)") >= len(HEADS)


@needs_web
def test_other_spellings_of_the_right_name_pass(inside: dict[str, Any]) -> None:
    first = len(HEADS) + len(PIPELINED)
    assert [inside[f"head {first + index}"] for index in range(len(GOOD_HEADS))] == [OK, OK]


def test_server_names_are_read_as_hosts_are(inside: dict[str, Any]) -> None:
    found = [inside[f"sni {index}"] for index in range(len(SERVER_NAMES))]
    assert found == [RESET, RESET, RESET, OK]


def test_what_begins_as_http_or_tls_is_held_to_its_rules_on_every_port(
    inside: dict[str, Any],
) -> None:
    for index, pieces in enumerate(ODD):
        assert inside[f"odd {index}"] in (RESET, "", "EPIPE"), pieces


def test_a_second_hello_must_name_the_host_too(inside: dict[str, Any]) -> None:
    assert inside["second hello"] == "TLSv1.3 after 2 flights"
    assert inside["second hello for another"] == RESET
    assert b"evil.tst" not in inside["seen"]
    assert "refused (sni): it names 'evil.tst'" in inside["log"]


def test_beside_an_encrypted_hello_the_host_must_be_named(inside: dict[str, Any]) -> None:
    """Browsers send decoys of one. What a real one could reach is in docs/security.md."""
    assert inside["encrypted hello"] == "160303"
    for other in ("beside another name", "beside no name", "of a draft"):
        assert inside[f"encrypted hello {other}"] == RESET
    assert inside["inner hello"] == inside["encrypted name"] == RESET
    assert "refused (sni): an encrypted ClientHello without a name outside" in inside["log"]


def test_a_process_that_forwards_reaches_no_more(inside: dict[str, Any]) -> None:
    """Row 13."""
    assert inside["relay by TCP"] == inside["relay_by_a_path"] == ""
    assert "198.51.100.7:80 refused" in inside["log"]


def test_name_and_address_must_agree(inside: dict[str, Any]) -> None:
    """Row 14."""
    assert inside["listed name to another address"] == RESET
    assert inside["other name to a listed address"] == RESET
    assert inside["UDP 443 to a listed name"] == inside["UDP 443"] == REFUSED
    assert "refused (sni): it names 'evil.test'" in inside["log"]


@needs_web
def test_the_ports_of_the_web_ask_for_a_name(inside: dict[str, Any]) -> None:
    assert inside["no name"] == inside["plain on 443"] == RESET
    assert inside["another Host on 80"] == inside["TLS on 80 for another"] == RESET
    assert "refused (sni): TLS without a server name" in inside["log"]
    assert "refused (sni): port 443 without TLS" in inside["log"]


def test_no_look_up_leaves(inside: dict[str, Any]) -> None:
    """Row 15. That nothing is asked outside is in test_names_attacks.py."""
    assert inside["libc"] == "gaierror"
    assert inside["resolver of the sandbox"] == [3, 0]
    assert inside["resolver of the sandbox by TCP"] == [3, 0]
    assert inside["UDP 53"] == inside["UDP 53 to the host"] == REFUSED
    assert inside["mDNS"] == "EINVAL"  # every address is one of the machine itself here
    assert inside["TCP 53"] == inside["DoT"] == inside["DoH"] == RESET
    assert "Name or service not known" in inside["DoH by its name"]
    assert inside["DNS by IPv6"] == UNREACHABLE


def test_a_local_name_opens_the_ports_of_its_rule_alone(inside: dict[str, Any]) -> None:
    """Row 17."""
    assert inside["other port of a local name"] == RESET
    assert inside["privileged port of a local name"] == RESET
    assert "local.test:22 refused" in inside["log"]
