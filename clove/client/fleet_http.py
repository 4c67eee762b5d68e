"""How a relay's REST API is asked: one request a connection, streams that are resumed. Standard library only."""

from __future__ import annotations

import contextlib
import http
import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clove.client.fleet_plan import Asked, Opened
from clove.client.relay_replies import MOST_REPLY, address_of, request_of, understood
from clove.client.server_events import Event, events_of
from clove.client.stream_messages import events_of_socket, upgrade_headers
from clove.errors import CloveError, ConnectionLost, InvalidRequest, TimedOut

__all__ = ["Events", "FleetHTTP"]

Events = Iterator[Event]
_MOST_VERSION = 64


class FleetHTTP:
    """Asks one relay; parameters as L{clove.client.fleet.FleetClient}."""

    def __init__(
        self, url: str, token: str, ca_file: str | None, timeout: float, plain: bool
    ) -> None:
        self._host, self._port, secure = address_of(url, plain)
        self._token = token
        self._timeout = timeout
        self.on_version: Callable[[str], object] = _ignore
        self.check_reply: Callable[[Asked, dict[str, Any]], object] = _accept
        self._tls: ssl.SSLContext | None = None
        if secure:
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise InvalidRequest(f"cannot use the certificates in {ca_file}: {error}") from None

    def call(self, asked: Asked) -> dict[str, Any]:
        """One request, and what the reply says.

        @raise CloveError: what went wrong.
        """
        with self._asked(asked, {}) as (_, reply):
            raw = reply.read(MOST_REPLY + 1)
            if reply.length and len(raw) <= MOST_REPLY:
                raise ConnectionLost(
                    f"the relay at {self._host} has cut its reply off",
                    hint="a request that changes something may have been executed",
                )
            found = understood(reply.status, reply.getheader("Retry-After"), raw)
        self.check_reply(asked, found)
        return found

    @contextlib.contextmanager
    def _asked(
        self, asked: Asked, more: Mapping[str, str]
    ) -> Iterator[tuple[http.client.HTTPConnection, http.client.HTTPResponse]]:
        """A reply that is read within; what goes wrong with the connection is an error of ours."""
        headers, payload = request_of(asked, self._token)
        headers |= more
        connection = _connection(self._host, self._port, self._timeout, self._tls)
        try:
            connection.request(asked.method, asked.path, payload, headers)
            reply = connection.getresponse()
            product, _, version = (reply.getheader("Server") or "").partition("/")
            if product == "clove-relay" and version:
                self.on_version(version[:_MOST_VERSION])
            yield connection, reply
        except TimeoutError:
            asked_for_tls = self._tls is not None and not isinstance(connection.sock, ssl.SSLSocket)
            raise TimedOut(
                f"the relay at {self._host} has not answered in {self._timeout:.0f} s",
                hint="is that port one for TLS? Without, its address begins with http://"
                if asked_for_tls
                else "a request that changes something may have been executed",
            ) from None
        except ssl.SSLError as error:
            raise ConnectionLost(
                f"no TLS with the relay at {self._host}: {error.reason or error}",
                hint="check its certificate, or name its authority's with ca_file",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConnectionLost(
                f"cannot reach the relay at {self._host} port {self._port}: {reason}",
                hint="is it running (clove relay up starts one here), and is this its address?",
            ) from None
        finally:
            connection.close()

    def events(self, asked: Opened) -> Events:
        """A stream: by a WebSocket where that does better, else server-sent events."""
        return self._socket_events(asked) if asked.lossy else self._server_events(asked)

    def _server_events(self, asked: Opened) -> Events:
        with self._asked(asked, {"Accept": "text/event-stream"}) as (_, reply):
            if reply.getheader("Content-Type") != "text/event-stream":
                understood(reply.status, reply.getheader("Retry-After"), reply.read(MOST_REPLY))
                raise CloveError("this is no stream of events", hint="is this a relay's address?")
            yield from events_of(lambda: reply.readline(MOST_REPLY))

    def _socket_events(self, asked: Opened) -> Events:
        headers = upgrade_headers()
        with self._asked(asked, headers) as (connection, reply):
            if reply.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
                understood(reply.status, reply.getheader("Retry-After"), reply.read(MOST_REPLY))
                raise CloveError("this relay has no streams", hint="run a newer one")
            key = headers["Sec-WebSocket-Key"]
            yield from events_of_socket(reply, key, connection.sock.sendall)


def _ignore(version: str) -> None:
    """What is done with it until another is set."""


def _accept(asked: Asked, reply: dict[str, Any]) -> None:
    """What is checked until something else is set."""


def _connection(
    host: str, port: int, timeout: float, tls: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
