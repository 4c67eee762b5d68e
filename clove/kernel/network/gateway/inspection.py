"""What a client says of where it goes, held against the name that it connected to. Pure.

Only the start of TLS and plain HTTP can be seen. Other protocols pass on ports
other than 80 and 443, to the address that was checked; what begins as HTTP or TLS
is held to their rules on every port.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from clove.errors import InvalidRequest
from clove.kernel.network.gateway.client_hello import (
    BadHello,
    ServerAnswer,
    read_answer,
    read_hello,
    skip_others,
)
from clove.kernel.network.gateway.first_bytes import Kind, blank_lines, harmless, kind_of
from clove.kernel.network.gateway.http_requests import BadRequest, Head, Requests
from clove.policy import Decision, Permissions, check_method
from clove.policy.hosts import normalise_host, parse_url, split_port

__all__ = ["Disagreement", "Inspection"]

SWITCHED: Final = b"HTTP/1.1 101 "


class Disagreement(Exception):
    """The client names another host than the one it connected to, or none.

    @ivar rule: its name in the audit log.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


class Inspection:
    """Looks at what a client sends to one name and port.

    @ivar permissions: those of the sender, as they are now.
    @ivar transparent: nothing more is to be seen; bytes need not be fed any more.
    @ivar waiting: the server's answer must be seen (L{answered}) before more is read.
    """

    def __init__(self, host: str, port: int, permissions: Permissions, most: int) -> None:
        self._host = host
        self._port = port
        self.permissions = permissions
        self._most = most
        self._held = b""
        self._early = 0  # bytes of what is held that have gone on already
        self._answer = b""
        self._requests: Requests | None = None
        self._step: Callable[[], bytes] = self._begin
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
        return self._step() if self._held else b""

    def answered(self, data: bytes) -> bytes:
        """What the server sent while that was waited for; gives what may pass to it now.

        @raise Disagreement: the connection must end.
        """
        self._answer += data
        if self._requests is None:
            return self._tls_answered()
        begin = self._answer[: len(SWITCHED)]
        if begin != SWITCHED and SWITCHED.startswith(begin):
            return b""  # it goes on
        self.waiting = False
        self._answer = b""
        self._requests.upgrading = False
        if begin == SWITCHED:
            if self._requests.opens_another:
                raise Disagreement("host", "an upgrade to a protocol that can name other hosts")
            self.transparent = True
            return self._requests.rest()
        return self._http(b"")

    def ended(self) -> bytes:
        """The client sends no more; gives what was held back and may pass.

        @raise Disagreement: the connection must end.
        """
        if self.transparent or self._requests is not None or self._step != self._begin:
            return b""
        if self._held and kind_of(self._held + b"\n") is not Kind.OTHER:
            raise Disagreement("host", "a request that is cut off")
        return self._pass()

    def _pass(self) -> bytes:
        self.transparent = True
        held, self._held = self._held[self._early :], b""
        return held

    def _begin(self) -> bytes:
        """Find out which protocol the client begins with."""
        if self._port == 80 and self._held[0] != 0x16:
            kind: Kind | None = Kind.HTTP
        else:
            blank = blank_lines(self._held)
            if blank and self._port not in (80, 443):
                passed, self._held = self._held[self._early : blank], self._held[blank:]
                self._early = max(0, self._early - blank)
                return passed + (self._begin() if self._held else b"")
            kind = kind_of(self._held)
        if kind is Kind.TLS:
            self._step = self._tls
            return self._tls()
        if kind is Kind.PROXY:
            raise Disagreement("host", "a header of the PROXY protocol, which names other ends")
        if self._port == 443:
            raise Disagreement("sni", "port 443 without TLS")
        if kind is None:
            self._check_size("a first line")
            earlier, self._early = self._early, max(self._early, harmless(self._held))
            return self._held[earlier : self._early]
        if kind is Kind.OTHER:
            return self._pass()
        self._requests = Requests(self._most, self._judge)
        held, self._held = self._held, b""
        return self._http(held)

    def _check_size(self, what: str) -> None:
        if len(self._held) > self._most:
            raise Disagreement("sni", f"{what} that is too long")

    # TLS: until the server says that it goes on, each ClientHello is judged.

    def _tls(self) -> bytes:
        try:
            hello = read_hello(self._held)
        except BadHello as error:
            raise Disagreement("sni", f"TLS that cannot be read: {error}") from None
        if hello is None:
            self._check_size("a TLS ClientHello")
            return b""
        if hello.encrypted and not hello.name:
            raise Disagreement("sni", "an encrypted ClientHello without a name outside of it")
        if not hello.name and self._port == 443:
            raise Disagreement("sni", "TLS without a server name")
        if hello.name:
            self._agree("sni", hello.name)
        self.waiting = True
        passed, self._held = self._held[: hello.size], self._held[hello.size :]
        return passed

    def _tls_answered(self) -> bytes:
        answer = read_answer(self._answer)
        if answer is None and len(self._answer) <= self._most:
            return b""
        self.waiting = False
        self._answer = b""
        if answer is ServerAnswer.HELLO:
            return self._pass()
        self._step = self._tls_again if answer is ServerAnswer.RETRY else self._no_tls
        return self._step() if self._held else b""

    def _tls_again(self) -> bytes:
        """The server asked for another ClientHello; other records may stand before it."""
        try:
            others = skip_others(self._held)
        except BadHello as error:
            raise Disagreement("sni", f"TLS that cannot be read: {error}") from None
        passed, self._held = self._held[:others], self._held[others:]
        if self._held[:1] == b"\x16":
            return passed + self._tls()
        self._check_size("a TLS record")
        return passed

    def _no_tls(self) -> bytes:
        raise Disagreement("sni", "TLS to a server that does not answer with it")

    # HTTP

    def _http(self, data: bytes) -> bytes:
        assert self._requests is not None
        try:
            passed = self._requests.feed(data)
        except BadRequest as error:
            raise Disagreement("host", f"HTTP that cannot be read in one way: {error}") from None
        self.waiting = self._requests.upgrading
        known = min(self._early, len(passed))
        self._early -= known
        return passed[known:]

    def _judge(self, head: Head) -> None:
        decision: Decision = check_method(self.permissions, head.method)
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
            if not head.target.isascii():
                raise InvalidRequest("not in ASCII")
            target = parse_url(head.target)
        except InvalidRequest:
            raise Disagreement("host", "a request for what is no URL") from None
        self._agree("host", target.host)
        if target.scheme != "http" or target.port != self._port:
            raise Disagreement("host", "a request for another scheme or port")

    def _agree(self, rule: str, name: str) -> None:
        """What goes out is what was judged: no name that would have to be mapped (IDN)."""
        try:
            same = name.isascii() and normalise_host(name) == self._host
        except InvalidRequest:
            same = False
        if not same:
            raise Disagreement(rule, f"it names {name[:253]!r}")
