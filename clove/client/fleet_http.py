"""How a relay's REST API is asked: one request a connection, streams that are resumed. Standard library only."""

from __future__ import annotations

import contextlib
import http
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from clove.client.relay_replies import MOST_REPLY, address_of, understood
from clove.client.server_events import events_of
from clove.client.stream_messages import events_of_socket, upgrade_headers
from clove.errors import (
    CloveError,
    ConnectionLost,
    InvalidRequest,
    TimedOut,
    Unavailable,
    error_from_reply,
)

__all__ = ["FleetHTTP"]

_ATTEMPTS: Final = 40
"""To go on with a stream that was cut: for more than a minute, in which a kernel comes back to its relay."""


class FleetHTTP:
    """Asks one relay; parameters as L{clove.client.fleet.FleetClient}."""

    def __init__(
        self, url: str, token: str, ca_file: str | None, timeout: float, plain: bool
    ) -> None:
        self._host, self._port, secure = address_of(url, plain)
        self._token = token
        self._timeout = timeout
        self._tls: ssl.SSLContext | None = None
        if secure:
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise InvalidRequest(f"cannot use the certificates in {ca_file}: {error}") from None

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """One request, and what the reply says.

        @raise CloveError: what went wrong.
        """
        with self._asked(method, path, body, more) as (_, reply):
            raw = reply.read(MOST_REPLY + 1)
            return understood(reply.status, reply.getheader("Retry-After"), raw)

    @contextlib.contextmanager
    def _asked(
        self, method: str, path: str, body: object, more: Mapping[str, str]
    ) -> Iterator[tuple[http.client.HTTPConnection, http.client.HTTPResponse]]:
        """A reply that is read within; what goes wrong with the connection is an error of ours."""
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **more}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        connection = _connection(self._host, self._port, self._timeout, self._tls)
        try:
            connection.request(method, path, payload, headers)
            yield connection, connection.getresponse()
        except TimeoutError:
            raise TimedOut(
                f"the relay at {self._host} has not answered in {self._timeout:.0f} s",
                hint="a request that changes something may have been executed",
            ) from None
        except ssl.SSLError as error:
            raise ConnectionLost(
                f"no TLS with the relay at {self._host}: {error.reason or error}",
                hint="check its certificate, or name its authority's with ca_file",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost(
                f"cannot reach the relay at {self._host} port {self._port}: {error}",
                hint="is it running (twistd clove-relay), and is this its address?",
            ) from None
        finally:
            connection.close()

    def resumed(
        self,
        path: str,
        query: dict[str, str],
        since: int,
        events: Callable[[str], Iterator[tuple[str, int | None, dict[str, Any]]]],
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events until the last one; a stream that was cut goes on behind the last number."""
        attempts, began = 0, False
        while True:
            try:
                asked = f"{path}?{urlencode({**query, 'since': since})}"
                for kind, number, fields in events(asked):
                    attempts, began = 0, True
                    since = number if number is not None else since
                    if kind == "error":
                        raise error_from_reply(fields)
                    yield kind, fields
                    if kind == "exit":
                        return
                raise ConnectionLost("the relay has ended the stream")
            except (ConnectionLost, TimedOut, Unavailable) as error:
                attempts += 1
                if attempts > _ATTEMPTS or (isinstance(error, Unavailable) and not began):
                    raise
                time.sleep(min(2.0, 0.1 * 2**attempts))

    def events(
        self,
        path: str,
        method: str = "GET",
        body: object = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
        """Kind, number to go on from, and fields."""
        headers = {**more, "Accept": "text/event-stream"}
        with self._asked(method, path, body, headers) as (_, reply):
            if reply.getheader("Content-Type") != "text/event-stream":
                understood(reply.status, reply.getheader("Retry-After"), reply.read(MOST_REPLY))
                raise CloveError("this is no stream of events", hint="is this a relay's address?")
            yield from events_of(lambda: reply.readline(MOST_REPLY))

    def socket_events(self, path: str) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
        """The same by a WebSocket."""
        headers = upgrade_headers()
        with self._asked("GET", path, None, headers) as (connection, reply):
            if reply.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
                understood(reply.status, reply.getheader("Retry-After"), reply.read(MOST_REPLY))
                raise CloveError("this relay has no streams", hint="run a newer one")
            key = headers["Sec-WebSocket-Key"]
            yield from events_of_socket(reply, key, connection.sock.sendall)


def _connection(
    host: str, port: int, timeout: float, tls: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
