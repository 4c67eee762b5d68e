from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest
from clove.kernel.config import load
from clove.kernel.network.proxy import proxy_credentials
from clove.kernel.network.settings import EgressSettings, proxy_target
from clove.kernel.network.way_out import is_direct
from clove.proxies import authorization

PROXY = "http://proxy.corp.example:3128"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"proxy": "https://proxy"}, "with a port"),
        ({"proxy": "https://user:secret@proxy:443"}, "proxy_credentials_file"),
        ({"proxy": "socks4://proxy:1080"}, "SOCKS 5 alone"),
        ({"proxy": "socks5h://proxy:1080"}, "proxy_resolves = true"),
        ({"proxy": "socks5://proxy"}, "with a port"),
        ({"proxy": "socks5://user:secret@proxy:1080"}, "proxy_credentials_file"),
        ({"proxy": "ftp://proxy:21"}, "not ftp"),
        ({"proxy": "proxy:3128"}, "not"),
        ({"proxy": "http://proxy"}, "with a port"),
        ({"proxy": "http://proxy:3128/pac"}, "nothing behind"),
        ({"proxy": "http://user:secret@proxy:3128"}, "proxy_credentials_file"),
        ({"proxy": PROXY, "no_proxy": ["corp.example:80"]}, "without ports"),
        ({"proxy": PROXY, "no_proxy": ["10.0.0.0/99"]}, "bad domain rule"),
        ({"no_proxy": ["corp.example"]}, "without `proxy`"),
        ({"proxy_resolves": True}, "without `proxy`"),
        ({"proxy_credentials_file": "/x"}, "without `proxy`"),
        ({"nat64": "64:ff9b::/95"}, "NAT64"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(
    settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    def toml(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value).replace("'", '"')

    lines = [
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {toml(value)}"
        for key, value in settings.items()
    ]
    path = tmp_path / "config.toml"
    path.write_text("\n".join(["[egress]", *lines]))
    with pytest.raises(InvalidRequest) as caught:
        load(str(path))
    assert words in caught.value.message
    assert "secret" not in caught.value.message


def test_a_proxy_is_a_host_and_a_port() -> None:
    target = proxy_target("http://Proxy.Corp.example:3128/")
    assert (target.host, target.port) == ("proxy.corp.example", 3128)
    assert proxy_target("http://[2001:db8::1]:8080").host == "2001:db8::1"
    target = proxy_target("SOCKS5://Proxy.Corp.example:1080")
    assert (target.scheme, target.netloc) == ("socks5", "proxy.corp.example:1080")


def test_loopback_and_what_is_listed_goes_directly() -> None:
    settings = EgressSettings(proxy=PROXY, no_proxy=("*.corp.example", "10.0.0.0/8", "git.test"))
    for host, addresses in (
        ("localhost", []),
        ("127.0.0.1", []),
        ("::1", []),
        ("pinned.test", ["127.0.0.1"]),
        ("a.corp.example", ["8.8.8.8"]),
        ("git.test", []),
        ("10.1.2.3", []),
        ("intern.test", ["10.1.2.3"]),
    ):
        assert is_direct(settings, host, addresses), host
    for host, addresses in (
        ("corp.example", ["8.8.8.8"]),
        ("api.test", ["8.8.8.8"]),
        ("8.8.8.8", []),
        ("api.test", []),
    ):
        assert not is_direct(settings, host, addresses), host
        assert is_direct(EgressSettings(), host, addresses)


def test_credentials_come_from_a_file_that_is_not_for_all(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    settings = EgressSettings(proxy=PROXY, proxy_credentials_file=str(path))
    path.write_text("Aladdin:open sesame\n")
    path.chmod(0o600)
    sent = authorization(proxy_credentials(settings))
    assert sent == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617
    assert authorization(proxy_credentials(EgressSettings(proxy=PROXY))) == ""
    path.chmod(0o604)
    with pytest.raises(InvalidRequest, match="chmod o-rwx"):
        proxy_credentials(settings)
    path.chmod(0o600)
    for text in ("", "no colon", "a:b\r\nX: y", "a:\0"):
        path.write_text(text)
        with pytest.raises(InvalidRequest, match="USER:PASSWORD"):
            proxy_credentials(settings)
    path.unlink()
    with pytest.raises(InvalidRequest, match="No such file"):
        proxy_credentials(settings)
