"""Hosts, URLs and addresses: one normal form, and only public addresses unless named."""
# ruff: noqa: RUF001, RUF005

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest
from clove.policy import (
    Level,
    Permissions,
    check_address,
    check_url,
    for_level,
    normalise_host,
    parse_url,
)
from clove.policy.domains import domain_rule

EVERYTHING = for_level(Level.UNRESTRICTED)


def hosts(*rules: str) -> Permissions:
    return msgspec.structs.replace(EVERYTHING, allowed_domains=rules)


@pytest.mark.parametrize(
    ("given_host", "expected"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1.", "192.0.2.1"),
        ("[::1]", "::1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("example。com", "example.com"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("localhost", "localhost"),
    ],
)
def test_normal_forms(given_host: str, expected: str) -> None:
    assert normalise_host(given_host) == expected


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", ".a", "a b", "a\0b", "a\0.allowed.com", "a%2eb", "a%b", "user@host", "a/b"]
    + ["0x7f000001", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1.1", "1.2.3.0x4", "256.1.1.1"]
    + ["[fe80::1%eth0]", "fe80::1%1", "[::1", "::1]", "[1.2.3.4]", "-a.b", "a-.b", "a" * 64, "a:b"]
    + [
        "a." * 130 + "com",
        "a\nb",
        "a\tb",
        "a\u200bb.com\u0000",
        "a,b",
        "a;b",
        "*",
        "*.com",
        "٣.1.1.1",
    ],
)
def test_what_is_no_plain_host_is_refused(host: str) -> None:
    with pytest.raises(InvalidRequest):
        normalise_host(host)


@given(st.text(max_size=30) | st.text("0123456789abcdefx.:[]%@ -", max_size=20))
def test_any_text_has_a_stable_normal_form_or_is_refused(text: str) -> None:
    try:
        host = normalise_host(text)
    except InvalidRequest:
        return
    assert host.isascii()
    assert host == host.lower()
    assert normalise_host(host) == host


@given(st.text(max_size=40))
def test_any_url_is_read_or_refused(text: str) -> None:
    for url in (text, "http://" + text, "https://host" + text):
        try:
            target = parse_url(url)
        except InvalidRequest:
            continue
        if target.host:
            assert parse_url(target.url) == target
            assert target.url.isascii()


def test_a_url_in_normal_form() -> None:
    target = parse_url("HTTPS://Example.com.:8443/a b".replace(" ", "%20") + "?q=ü#frag")
    assert target.url == "https://example.com:8443/a%20b?q=%C3%BC"
    assert parse_url("http://example.com:80").url == "http://example.com/"
    assert parse_url("http://[::1]:8080/x").netloc == "[::1]:8080"


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "/path", "http:", "http://", "http:///x", "http:x", "http://a b/", "//a/"]
    + ["http://user@host/", "http://user:pw@host/", "http://allowed.com\\@evil.com/", "http://::1/"]
    + [
        "http://host:0/",
        "http://host:65536/",
        "http://host:x/",
        "http://host:-1/",
        "http://[::1]x/",
    ]
    + [
        "http://host\0/",
        "http://host/\r\nX: y",
        "http://0x7f.1/",
        "http://a%00.com/",
        "\x01http://a",
    ]
    + ["http://host/" + "x" * 9000, "http://host/\ud800"],
)
def test_bad_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_url(url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://host/x", "ftp://host/", "data:x"])
def test_other_schemes_are_denied(url: str) -> None:
    decision, target = check_url(EVERYTHING, "GET", url)
    assert not decision.allowed
    assert decision.rule.startswith("scheme: ")
    assert not target.host


@pytest.mark.parametrize(
    ("rule", "url", "expected"),
    [
        ("api.example.com", "https://api.example.com/x", True),
        ("api.example.com", "http://API.example.com./x", True),
        ("api.example.com", "https://api.example.com:8443/", False),
        ("api.example.com", "https://xapi.example.com/", False),
        ("api.example.com", "https://api.example.com.evil.org/", False),
        ("*.example.com", "https://a.example.com/", True),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://badexample.com/", False),
        ("example.com:8443", "https://example.com:8443/", True),
        ("example.com:8443", "https://example.com/", False),
        ("*", "https://anything.org/", True),
        ("*", "https://8.8.8.8/", False),
        ("*", "https://anything.org:22/", False),
        ("10.0.0.0/8:8080", "http://10.1.2.3:8080/", True),
        ("10.0.0.0/8:8080", "http://10.1.2.3/", False),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("127.0.0.1:81", "http://127.0.0.1:81/", True),
        ("[::1]:81", "http://[::1]:81/", True),
        ("::1", "http://[0:0::1]/", True),
        ("[fd00::/8]:81", "http://[fd12::1]:81/", True),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
    ],
)
def test_domain_rules(rule: str, url: str, expected: bool) -> None:
    decision, _ = check_url(hosts(rule), "GET", url)
    assert decision.allowed is expected
    assert decision.rule == (f"allowed_domains: {rule}" if expected else "allowed_domains")


@pytest.mark.parametrize(
    "rule", ["", "https://a.com", "a b", "*.1.2.3.4", "a:0", "10.0.0.1/8", "a/8"]
)
def test_bad_rules_are_errors(rule: str) -> None:
    with pytest.raises(InvalidRequest):
        domain_rule(rule)


def test_methods() -> None:
    assert check_url(EVERYTHING, "CONNECT", "http://a.com")[0].rule == "http-method"
    permissions = msgspec.structs.replace(EVERYTHING, allowed_http_methods=("GET",))
    assert check_url(permissions, "GET", "http://a.com")[0].allowed
    assert check_url(permissions, "POST", "http://a.com")[0].rule == "allowed_http_methods"
    assert check_url(for_level("standard"), "GET", "http://a.com")[0].rule == "level: standard"


SPECIAL = (
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "169.254.1.1"]
    + ["100.64.0.1", "100.100.100.200", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255"]
    + ["192.0.2.1", "198.18.0.1", "240.0.0.1", "::", "::1", "fe80::1", "fd00:ec2::254", "fc00::1"]
    + ["::ffff:7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::7f00:1"]
    + ["2002:7f00:1::", "2001:0:1::", "ff02::1", "2001:db8::1", "fec0::1", "100::1", "5f00::1"]
)


@pytest.mark.parametrize("address", SPECIAL)
def test_only_public_addresses_without_a_rule_that_names_them(address: str) -> None:
    for permissions in (EVERYTHING, hosts("*"), hosts("a.com", "0.0.0.0/0", "::/0")):
        decision = check_address(permissions, "a.com", 80, address)
        assert not decision.allowed
        assert decision.rule.startswith("address: ")
    assert check_address(hosts("a.com", address), "a.com", 80, address).allowed
    assert not check_address(hosts("a.com", address), "a.com", 8080, address).allowed


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "172.32.0.1"])
def test_public_addresses_pass(address: str) -> None:
    assert check_address(EVERYTHING, "a.com", 9, address).rule == "address: public"


def test_no_name_can_be_pointed_at_a_private_address() -> None:
    named = hosts("internal.corp:8080")
    assert not check_address(named, "internal.corp", 8080, "10.0.0.5").allowed
    both = hosts("internal.corp:8080", "10.0.0.0/24:8080")
    assert check_address(both, "internal.corp", 8080, "10.0.0.5").allowed
    assert not check_address(both, "internal.corp", 8080, "10.0.1.5").allowed
    assert not check_address(hosts("169.254.0.0/16"), "a.com", 80, "169.254.169.254").allowed


def test_localhost_names_loopback_on_its_port() -> None:
    local = hosts("localhost:8080", "a.com:8080")
    assert check_address(local, "localhost", 8080, "127.0.0.1").allowed
    assert check_address(local, "localhost", 8080, "::1").allowed
    assert not check_address(local, "localhost", 81, "127.0.0.1").allowed
    assert not check_address(local, "a.com", 8080, "127.0.0.1").allowed
    assert not check_address(local, "localhost", 8080, "10.0.0.1").allowed


def test_zones_and_nonsense_are_no_addresses() -> None:
    assert not check_address(EVERYTHING, "a.com", 80, "fe80::1%eth0").allowed
    assert not check_address(EVERYTHING, "a.com", 80, "a.com").allowed
