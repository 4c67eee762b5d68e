"""One reading of URLs and host names, for every check and for what is dialled.

Parsers that disagree are how host checks are passed (a NUL, a trailing dot, an
odd spelling of an address). So a host is brought to one normal form here or
refused, and nothing later looks at the text that the agent sent.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import quote

from clove.errors import InvalidRequest

__all__ = [
    "MAX_URL",
    "Address",
    "Target",
    "as_address",
    "normalise_host",
    "parse_url",
    "split_port",
]

MAX_URL: Final = 8192
"""Characters of a URL; a longer one is an InvalidRequest."""

MAX_HOST: Final = 254
"""Characters of a host, a dot at the end included; a longer one is an InvalidRequest before
its IDN is looked at, which takes longer than in proportion to its length."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(?:#.*)?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\]|\s")
_SAFE: Final = "/?:@!$&'()*+,;=-._~%[]"


class Target(NamedTuple):
    """Where a URL points, in normal form.

    @ivar scheme: lower case; only `http` and `https` have a host.
    @ivar host: an ASCII name in lower case without a trailing dot, or an address
        as Python's ipaddress prints it, without brackets.
    @ivar path: with the query, percent-encoded, beginning with `/`.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Host and port as the Host header bears them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL that is sent for."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def address(self) -> Address | None:
        """The address, where the host is one."""
        return as_address(self.host)


def as_address(host: str) -> Address | None:
    """A host in normal form as an address, or None for a name."""
    if ":" not in host and not host[-1:].isdigit():
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@functools.lru_cache(maxsize=512)
def normalise_host(host: str) -> str:
    """The one normal form of a host name or address.

    Upper case, IDN and one trailing dot are brought to the normal form.

    @raise InvalidRequest: anything else that is not a plain name or address: NUL,
        blanks, `%` (also as an IPv6 zone), odd spellings of IPv4 addresses.
    """
    shown = repr(host[:80])
    if not host or len(host) > MAX_HOST:
        raise InvalidRequest("a host has between 1 and 253 characters")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed or ":" in host:
        inner = host[1:-1] if bracketed else host
        if "%" in inner:
            raise InvalidRequest(f"an IPv6 zone is not allowed in {shown}")
        try:
            return str(ipaddress.IPv6Address(inner))
        except ValueError:
            raise InvalidRequest(f"not an IPv6 address: {shown}") from None
    name = _ascii(host, shown).removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidRequest(f"not a host name: {shown}", hint="such as api.example.com")
    if _NUMBER.fullmatch(labels[-1]):
        # What ends in a number is an address to inet_aton, in one spelling or another.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise InvalidRequest(
                f"not a plain IPv4 address: {shown}", hint="write four decimal numbers, 192.0.2.1"
            ) from None
    return name


def _ascii(host: str, shown: str) -> str:
    if host.isascii():
        return host.lower()
    import idna  # seldom needed

    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        raise InvalidRequest(f"not an international domain name: {shown}") from None


def parse_url(url: str) -> Target:
    """A URL's target. A scheme other than http and https gives one without a host.

    @raise InvalidRequest: it is no URL, or holds userinfo, blanks, control
        characters or a backslash, or its host or port makes no sense.
    """
    if len(url) > MAX_URL:
        raise InvalidRequest(f"a URL has at most {MAX_URL} characters")
    if _FORBIDDEN.search(url):
        raise InvalidRequest(
            "a URL holds no blanks, control characters or backslashes",
            hint="percent-encode them in the path or query",
        )
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidRequest(f"not an absolute URL: {url[:80]!r}", hint="https://host/path")
    scheme, authority, path, query = match.groups(default="")
    scheme = scheme.lower()
    if scheme not in _PORTS:
        return Target(scheme, "", 0, "")
    if "@" in authority:
        raise InvalidRequest(
            "a URL holds no user name or password", hint="use an Authorization header"
        )
    host, port = split_port(authority)
    if ":" in host and not host.startswith("["):
        raise InvalidRequest("an IPv6 address stands in brackets in a URL", hint="http://[::1]/")
    try:
        path = quote((path or "/") + query, safe=_SAFE)
    except UnicodeEncodeError:
        raise InvalidRequest("a URL holds no lone surrogates") from None
    return Target(scheme, normalise_host(host), _PORTS[scheme] if port is None else port, path)


def split_port(authority: str) -> tuple[str, int | None]:
    """`host:port` or `[v6]:port` apart. A lone IPv6 address has no port.

    @raise InvalidRequest: the port is not a number from 1 to 65535.
    """
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        host += bracket
        if rest and not rest.startswith(":"):
            raise InvalidRequest(f"not a host and port: {authority[:80]!r}")
        text = rest[1:]
        given = bool(rest)
    elif authority.count(":") == 1:
        host, _, text = authority.partition(":")
        given = True
    else:
        host, text, given = authority, "", False
    if not given or not text:
        return host, None
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise InvalidRequest(f"not a port: {text[:20]!r}", hint="a number from 1 to 65535")
    return host, int(text)
