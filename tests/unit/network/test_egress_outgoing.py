"""What goes out: checked headers, and what redirects make of a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.client import URI

from clove.errors import InvalidRequest, LimitExceeded
from clove.kernel.network.egress.body import Collector, as_text
from clove.kernel.network.egress.outgoing import Outgoing, outgoing
from clove.messages import decode, encode
from clove.messages.http import HttpReply, HttpRequest
from clove.policy import parse_url

LIMIT = 65536


def asking(**fields: object) -> HttpRequest:
    return decode(HttpRequest, encode({"url": "http://a.com/", **fields}))


def test_an_ordinary_request() -> None:
    sent = outgoing(
        asking(method="post", headers={"X-A": "b", "User-Agent": "me"}, body="ü"), LIMIT
    )
    assert sent.method == "POST"
    assert dict(sent.headers) == {"x-a": "b", "user-agent": "me"}
    assert sent.body == "ü".encode()
    assert dict(outgoing(asking(), LIMIT).headers)["user-agent"].startswith("clove/")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nHost: evil"},
        {"X-A": "b\n"},
        {"X-A": "b\0"},
        {"X A": "b"},
        {"X-A:": "b"},
        {"": "b"},
        {"X\r\nY": "b"},
        {"Ü": "b"},
        {"X-A": "€"},
        {"Host": "internal"},
        {"content-length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "keep-alive"},
        {"Proxy-Authorization": "x"},
        {"Upgrade": "websocket"},
    ],
)
def test_headers_that_would_break_out_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        outgoing(asking(headers=headers), LIMIT)


def test_headers_are_bounded() -> None:
    with pytest.raises(LimitExceeded):
        outgoing(asking(headers={"X": "y" * 100}), 50)
    with pytest.raises(LimitExceeded, match="256"):
        outgoing(asking(headers={f"a{number}": "" for number in range(300)}), 65536)


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ],
)
def test_methods_across_redirects(status: int, method: str, expected: str) -> None:
    start = Outgoing(method, "http://a.com/x/y", (("content-type", "t"), ("x", "y")), b"body")
    then = start.redirected(status, parse_url(start.url), "../z?q")
    assert then.method == expected
    assert then.url == "http://a.com/z?q"
    changed = method != expected
    assert then.body == (b"" if changed else b"body")
    assert (("content-type", "t") in then.headers) is not changed


def test_secrets_stay_with_their_host() -> None:
    names = ["authorization", "cookie", "x-api-key", "x-auth-token", "accept"]
    sent = Outgoing("GET", "http://a.com", tuple((name, "v") for name in names), b"")
    assert sent.without_secrets().headers == (("accept", "v"),)


@given(st.text(max_size=30))
def test_twisted_reads_our_urls_as_we_do(text: str) -> None:
    for url in ("http://host.example:81/" + text, "https://[::1]" + text):
        try:
            target = parse_url(url)
        except InvalidRequest:
            continue
        uri = URI.fromBytes(target.url.encode("ascii"))
        assert (uri.scheme.decode(), uri.host.decode(), uri.port) == target[:3]


def test_a_truncated_character_is_left_out() -> None:
    body = "aü".encode()
    assert as_text(body, False) == ("aü", "utf-8")
    assert as_text(body[:-1], True) == ("a", "utf-8")
    assert as_text(body[:-1], False) == ("YcM=", "base64")
    assert as_text(b"\xff\x00", True)[1] == "base64"


def test_a_decompression_bomb_stops_at_the_limit() -> None:
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()
    collector = Collector(1000, "gzip")
    got: list[tuple[bytes, bool]] = []
    collector.done.addCallback(got.append)
    collector.dataReceived(bomb)
    assert got == [(bytes(1000), True)]


def test_an_empty_reply_has_every_field() -> None:
    assert encode(HttpReply()).startswith(b'{"success":true,"status_code":0,"headers":{}')
