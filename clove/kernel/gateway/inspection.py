"""What a client says of where it goes, held against the name that it connected to. Pure.

Only the start of TLS and plain HTTP can be seen. Other protocols pass on ports
other than 80 and 443, to the address that was checked.
"""

from __future__ import annotations

from clove.errors import InvalidRequest
from clove.kernel.gateway.client_hello import BadHello, read_hello
from clove.kernel.gateway.http_requests import BadRequest, Head, Requests
from clove.policy import Decision, Permissions, check_method
from clove.policy.hosts import normalise_host, parse_url, split_port

__all__ = ["Disagreement", "Inspection"]

TLS = 0x16
LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LINE = 8 << 10
"""Bytes of a first line that may be one of HTTP's."""


class Disagreement(Exception):
    """The client names another host than the one it connected to, or none.

    @ivar rule: a word for the audit log.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


class Inspection:
    """Looks at what a client sends to one name and port.

    @ivar transparent: nothing more is to be seen; bytes need not be fed any more.
    @ivar waiting: the server's answer must be seen (L{answered}) before more is read.
    """

    def __init__(self, host: str, port: int, permissions: Permissions, most: int) -> None:
        self._host = host
        self._port = port
        self._permissions = permissions
        self._most = most
        self._held = b""
        self._requests: Requests | None = None
        self.transparent = False
        self.waiting = False

    def feed(self, data: bytes) -> bytes:
        """Take what the client sent; give what may pass on.

        @raise Disagreement: the connection must end.
        """
        if self.transparent:
            return data
        if self._requests is not None:
            return self._http(data)
        self._held += data
        if self._held[0] == TLS:
            return self._tls()
        if self._port == 443:
            raise Disagreement("sni", "port 443 without TLS")
        if self._port != 80:
            like_http = self._held[0] in LETTERS and _like_http(self._held)
            if like_http is None:
                return b""
            if not like_http:
                return self._pass()
        self._requests = Requests(self._most, self._judge)
        held, self._held = self._held, b""
        return self._http(held)

    def answered(self, data: bytes) -> bytes:
        """The server's first bytes after a request to change the protocol."""
        self.waiting = False
        if self._requests is None:
            return b""
        self._requests.upgrading = False
        if data.startswith(b"HTTP/1.1 101 "):
            self.transparent = True
            return self._requests.rest()
        return self._http(b"")

    def _pass(self) -> bytes:
        self.transparent = True
        held, self._held = self._held, b""
        return held

    def _tls(self) -> bytes:
        try:
            hello = read_hello(self._held)
        except BadHello as error:
            raise Disagreement("sni", f"TLS that cannot be read: {error}") from None
        if hello is None:
            if len(self._held) > self._most:
                raise Disagreement("sni", "a TLS ClientHello that is too long")
            return b""
        if hello.encrypted:
            raise Disagreement("sni", "an encrypted ClientHello, which hides the name")
        if not hello.name and self._port == 443:
            raise Disagreement("sni", "TLS without a server name")
        if hello.name:
            self._agree("sni", hello.name)
        return self._pass()

    def _http(self, data: bytes) -> bytes:
        assert self._requests is not None
        try:
            passed = self._requests.feed(data)
        except BadRequest as error:
            raise Disagreement("host", f"HTTP that cannot be read in one way: {error}") from None
        self.waiting = self._requests.upgrading
        return passed

    def _judge(self, head: Head) -> None:
        decision: Decision = check_method(self._permissions, head.method)
        if not decision.allowed:
            raise Disagreement(decision.rule, f"the method {head.method[:20]}: {decision.hint}")
        try:
            name, port = split_port(head.host)
        except InvalidRequest:
            raise Disagreement("host", f"a Host that makes no sense: {head.host[:80]!r}") from None
        self._agree("host", name)
        if port not in (None, self._port):
            raise Disagreement("host", f"a Host with another port: {port}")
        if head.target.startswith("/") or (head.target == "*" and head.method == "OPTIONS"):
            return
        try:
            target = parse_url(head.target)
        except InvalidRequest:
            raise Disagreement("host", "a request for what is no URL") from None
        self._agree("host", target.host)
        if target.scheme != "http" or target.port != self._port:
            raise Disagreement("host", "a request for another scheme or port")

    def _agree(self, rule: str, name: str) -> None:
        try:
            same = normalise_host(name) == self._host
        except InvalidRequest:
            same = False
        if not same:
            raise Disagreement(rule, f"it names {name[:253]!r}")


def _like_http(data: bytes) -> bool | None:
    """Do these first bytes start an HTTP request? None while its line goes on."""
    line, ended, _ = data.partition(b"\n")
    if not all(0x20 <= byte < 0x7F or byte == 0x0D for byte in line[:LINE]):
        return False
    if not ended and len(line) < LINE:
        return None
    return b" HTTP/1." in line
