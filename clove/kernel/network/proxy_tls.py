"""TLS to the proxy itself, around whatever is said to it and carried by it.

What uses a connection (the gateway, `http`, the tunnel) has a plain socket in hand. So it gets one end of a
pair, and a L{_TlsLink} carries between the other end and the proxy's socket, encrypted there.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReadWriteDescriptor
from zope.interface import implementer

from clove.errors import Unavailable
from clove.kernel.network.authorities import read_certificates

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

__all__ = ["proxy_context", "wrap_in_tls"]

CHUNK: Final = 16 << 10
"""Bytes read at once, so that other events have their turn; what a record of TLS has. About twice as much
may wait in each direction."""
LOOK: Final = 1.0
"""Seconds between looks whether one that has sent all is still there to read."""
MOST_LOOKS: Final = 10
"""Looks after which a proxy that does not take what is still to be sent is left."""


def proxy_context(ca_file: str) -> ssl.SSLContext:
    """What the proxy's certificate is held against: the host's certificates, and those of a file. Blocking.

    @param ca_file: "" for none.
    @raise InvalidRequest: the file cannot be used.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        context.load_verify_locations(cadata="\n".join(read_certificates(ca_file)))
    return context


async def wrap_in_tls(
    reactor: Any, connection: socket.socket, context: ssl.SSLContext, host: str, timeout: float
) -> socket.socket:
    """A socket that does not block, for what is to be said over TLS.

    @param connection: is connected to the proxy, and is closed when the other end of what is given is.
    @param host: whom the certificate must name.
    @param timeout: seconds for the handshake.
    @raise Unavailable: the proxy is not trusted, or speaks no TLS.
    """
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    link = _TlsLink(reactor, connection, far, context, host)
    link.done.addTimeout(timeout, reactor)
    try:
        await link.done
    except BaseException as error:
        near.close()
        link.abort()
        if isinstance(error, DeferredTimeout):
            text = f"the proxy's TLS was not there within {timeout:g} s"
            raise Unavailable(text, hint="check egress.proxy") from None
        raise
    return near


@implementer(IReadWriteDescriptor)
class _End:
    """One of the two sockets.

    @ivar waiting: what it has not taken yet.
    @ivar read_all: its end was seen.
    """

    def __init__(self, link: _TlsLink, connection: socket.socket) -> None:
        self._link = link
        self.socket = connection
        self.waiting = b""
        self.read_all = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "proxy TLS"

    def doRead(self) -> None:
        try:
            data = self.socket.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._link.abort()
            return
        self.read_all = not data
        self._link.received(self, data)

    def send(self, data: bytes = b"") -> None:
        """Send it, and keep what the socket does not take.

        @raise OSError: the connection is broken.
        """
        self.waiting += data
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while self.waiting:
                self.waiting = self.waiting[self.socket.send(self.waiting) :]

    def doWrite(self) -> None:
        self._link.advance()

    def connectionLost(self, reason: object) -> None:
        self._link.abort()


class _TlsLink:
    """Carries between the proxy's socket, encrypted, and one of a pair, until both have ended or one breaks.

    @ivar done: fires when the handshake is; fails with Unavailable.
    """

    def __init__(
        self,
        reactor: Any,
        proxy: socket.socket,
        inner: socket.socket,
        context: ssl.SSLContext,
        host: str,
    ) -> None:
        self._reactor = reactor
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._host = host
        self._proxy, self._inner = _End(self, proxy), _End(self, inner)
        self._is_secure = self._is_closed = False
        self._received_all = self._sent_all = False
        self._timer: IDelayedCall | None = None
        self._looks = 0
        self.done: Deferred[None] = Deferred()
        self.advance()

    def received(self, end: _End, data: bytes) -> None:
        """One of the two sockets gave some bytes, or its end."""
        try:
            if end is self._proxy:
                self._incoming.write(data) if data else self._incoming.write_eof()
            else:
                while data:
                    data = data[self._tls.write(data) :]
        except ssl.SSLError as error:
            self._fail(error)
            return
        self.advance()

    def advance(self) -> None:
        """Do what can be done now, and wait for the rest."""
        if self._is_closed:
            return
        try:
            self._decrypt()
            self._proxy.send(self._outgoing.read())
        except OSError as error:  # ssl.SSLError is one
            self._fail(error)
            return
        if self._is_closed:
            return
        if self._sent_all and self._received_all and not self._proxy.waiting:
            self._close()
            return
        self._poll()

    def _decrypt(self) -> None:
        """Go on with the handshake; then give the inner socket what came, and the proxy the end of it."""
        with contextlib.suppress(ssl.SSLWantReadError):
            if not self._is_secure:
                self._tls.do_handshake()
                self._is_secure = True
                self.done.callback(None)
            self._inner.send()
            while not (self._inner.waiting or self._received_all):
                data = self._read()
                if data:
                    self._inner.send(data)
                else:
                    self._received_all = True
                    self._inner.socket.shutdown(socket.SHUT_WR)
        # Only when all that came is read: to end TLS reads as well.
        if self._inner.read_all and not (self._sent_all or self._inner.waiting):
            self._sent_all = True
            self._end()

    def _read(self) -> bytes:
        """What came; nothing at its end. A proxy that closes without saying so is one of many."""
        try:
            return self._tls.read(CHUNK)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def _end(self) -> None:
        """Tell the proxy that nothing more is sent; it may go on sending (RFC 8446, 6.1)."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self._look()

    def _look(self) -> None:
        """End when the other end of the inner socket is closed: there is no reader any more."""
        self._timer = None
        poll = select.poll()
        poll.register(self._inner.socket, 0)
        if any(event & select.POLLHUP for _, event in poll.poll(0)):
            self._looks += 1
            if not self._proxy.waiting or self._looks > MOST_LOOKS:
                self.abort()
                return
        self._timer = self._reactor.callLater(LOOK, self._look)

    def _poll(self) -> None:
        """Read where there is room for what would be read, write where something waits."""
        proxy, inner = self._proxy, self._inner
        reads_proxy = not (proxy.read_all or inner.waiting)
        reads_inner = self._is_secure and not (inner.read_all or proxy.waiting)
        for end, reads in ((proxy, reads_proxy), (inner, reads_inner)):
            (self._reactor.addReader if reads else self._reactor.removeReader)(end)
            (self._reactor.addWriter if end.waiting else self._reactor.removeWriter)(end)

    def _fail(self, error: OSError) -> None:
        """Something broke."""
        told = self.done.called
        self.abort()
        if not told:
            self.done.errback(_explained(error, self._host))

    def abort(self) -> None:
        """Close both sockets. Idempotent."""
        self._close()

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for end in (self._proxy, self._inner):
            self._reactor.removeReader(end)
            self._reactor.removeWriter(end)
            end.waiting = b""
            end.socket.close()


def _explained(error: OSError, host: str) -> Unavailable:
    """Why there is no TLS with the proxy."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the proxy's certificate is not trusted: {error.verify_message}"
        hint = f"egress.ca_file trusts its issuer; it must name {host}, as egress.proxy does"
        return Unavailable(text, hint=hint)
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error).replace("_", " ").lower()
        text = f"no TLS with the proxy: {reason}"
        return Unavailable(
            text, hint="a proxy that speaks none is http://HOST:PORT in egress.proxy"
        )
    return Unavailable(f"the proxy: {error.strerror or error}", hint="check egress.proxy")
