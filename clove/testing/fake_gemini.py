"""A server on loopback with Gemini's REST interface, as google-genai uses it::

    POST /v1beta/models/MODEL:generateContent
    POST /v1beta/models/MODEL:streamGenerateContent?alt=sse
    GET  /v1beta/models

(`v1` too.) It checks what the real one checks: the key, the shape of the body,
names of fields. `script` says how the next requests are answered; afterwards
and without one it repeats the prompt. By hand::

    python -m clove.testing.fake_gemini --port 0

prints its address, and takes `POST /_fake/script` (a list of behaviours) and
`GET /_fake/requests`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import deque
from collections.abc import Coroutine
from typing import Any

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from clove.testing.gemini_check import Wrong, camel, check_body
from clove.testing.gemini_script import Behaviour, Recorded, error_body, merged, responses

__all__ = ["FakeGemini", "main"]


_PATH = re.compile(r"/(v1|v1beta)/models(?:/([^:?]+):([A-Za-z]+))?")


class FakeGemini:
    """The server.

    @ivar key: the one key that it takes; "" takes any but none.
    @ivar script: behaviours of the next requests, first one first.
    @ivar default: behaviour when the script is empty.
    @ivar requests: every request so far, refused ones too (the last 1000).
    @ivar active, most_active: requests being answered now, and at most at once.
    """

    def __init__(self, reactor: Any, key: str = "") -> None:
        self._reactor = reactor
        self._port: Any = None
        self.key = key
        self.script: deque[Behaviour] = deque()
        self.default = Behaviour()
        self.requests: deque[Recorded] = deque(maxlen=1000)
        self.active = 0
        self.most_active = 0

    def start(self, port: int = 0) -> str:
        """Listen on 127.0.0.1; gives the base URL."""
        site = Site(_Root(self))
        self._port = self._reactor.listenTCP(port, site, interface="127.0.0.1")
        return self.url

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        address = self._port.getHost()
        assert isinstance(address, IPv4Address)
        return f"http://127.0.0.1:{address.port}"

    async def stop(self) -> None:
        """Listen no more. Connections that are open stay so until their clients close them."""
        await self._port.stopListening()

    async def pause(self, seconds: float) -> None:
        """Let time go by."""
        if seconds > 0:
            await deferLater(self._reactor, seconds, lambda: None)


class _Root(Resource):
    """All paths."""

    isLeaf = True

    def __init__(self, fake: FakeGemini) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fake = fake

    def render(self, request: Any) -> int:
        """Answer one request in its own time."""
        exchange = _Exchange(self._fake, request)
        work: Coroutine[Any, Any, None] = exchange.serve()
        task = Deferred.fromCoroutine(work)
        request.notifyFinish().addErrback(lambda _: task.cancel())
        task.addErrback(exchange.lost)
        return NOT_DONE_YET


class _Exchange:
    """One request and its answer."""

    def __init__(self, fake: FakeGemini, request: HttpRequest) -> None:
        self._fake = fake
        self._request: Any = request
        self._gone = False
        request.notifyFinish().addErrback(self._closed)

    def _closed(self, _: object) -> None:
        self._gone = True

    def lost(self, failure: Any) -> None:
        """The client went away, or there is a bug here: then the connection is cut."""
        if not self._gone:
            failure.printTraceback(file=sys.stderr)
            self._request.transport.abortConnection()

    async def serve(self) -> None:
        """Record, check, and answer as the script says."""
        request = self._request
        path = request.path.decode("utf-8", "replace")
        body = request.content.read()
        if path.startswith("/_fake/"):
            self._control(path, body)
            return
        try:
            document = camel(msgspec.json.decode(body)) if body else None
        except ValueError:
            document = body.decode("utf-8", "replace")
        self._record(path, document)
        try:
            method, model = self._check(path, document)
        except Wrong as wrong:
            self._error(wrong.status, Behaviour(message=str(wrong)), wrong.reason)
            return
        fake = self._fake
        behaviour = fake.script.popleft() if fake.script else fake.default
        fake.active += 1
        fake.most_active = max(fake.most_active, fake.active)
        try:
            await self._answer(method, model, document, behaviour)
        finally:
            fake.active -= 1

    def _record(self, path: str, document: Any) -> None:
        request = self._request
        self._fake.requests.append(
            Recorded(
                method=request.method.decode("ascii"),
                path=path,
                query={k.decode(): v[0].decode() for k, v in request.args.items()},
                headers={
                    name.decode("latin-1").lower(): values[0].decode("latin-1")
                    for name, values in request.requestHeaders.getAllRawHeaders()
                },
                body=document,
            )
        )

    def _check(self, path: str, document: Any) -> tuple[str, str]:
        """The method and the model; raises Wrong as the real service would answer."""
        record = self._fake.requests[-1]
        key = record.headers.get("x-goog-api-key") or record.query.get("key", "")
        if not key:
            raise Wrong(403, "Method doesn't allow unregistered callers. Please use API Key.")
        if self._fake.key and key != self._fake.key:
            text = "API key not valid. Please pass a valid API key."
            raise Wrong(400, text, "API_KEY_INVALID")
        found = _PATH.fullmatch(path)
        if found is None:
            raise Wrong(404, "Requested entity was not found.")
        version, model, method = found.groups("")
        if record.method == "GET" and not model:
            return "list", ""
        if record.method != "POST" or method not in ("generateContent", "streamGenerateContent"):
            raise Wrong(404, "Requested entity was not found.")
        if "unknown" in model:
            raise Wrong(404, f"models/{model} is not found for API version {version}.")
        check_body(document)
        return method, model

    async def _answer(self, method: str, model: str, body: Any, behaviour: Behaviour) -> None:
        fake = self._fake
        await fake.pause(behaviour.delay)
        if behaviour.redirect:
            self._request.setHeader("location", behaviour.redirect)
            self._send(302, b"{}")
        elif behaviour.status != 200:
            self._error(behaviour.status, behaviour)
        elif behaviour.raw is not None:
            self._send(200, behaviour.raw.encode())
        elif method == "list":
            self._send(200, b'{"models":[{"name":"models/fake-model"}]}')
        elif method == "generateContent":
            if behaviour.cut_after is not None:
                self._request.transport.abortConnection()
            else:
                self._send(200, msgspec.json.encode(merged(responses(model, body, behaviour))))
        else:
            await self._stream(responses(model, body, behaviour), behaviour)

    async def _stream(self, answers: list[dict[str, Any]], behaviour: Behaviour) -> None:
        """Server-sent events if the client asks for them, as google-genai does."""
        request = self._request
        request.setHeader("content-type", "text/event-stream")
        for index, answer in enumerate(answers):
            if index:
                await self._fake.pause(behaviour.pause)
            if index == behaviour.cut_after:
                break
            request.write(b"data: " + msgspec.json.encode(answer) + b"\r\n\r\n")
        request.finish()

    def _error(self, status: int, behaviour: Behaviour, reason: str = "") -> None:
        self._send(status, msgspec.json.encode(error_body(status, behaviour, reason)))

    def _send(self, status: int, body: bytes) -> None:
        request = self._request
        request.setResponseCode(status)
        request.setHeader("content-type", "application/json; charset=UTF-8")
        request.write(body)
        request.finish()

    def _control(self, path: str, body: bytes) -> None:
        fake = self._fake
        if path == "/_fake/requests":
            self._send(200, msgspec.json.encode(list(fake.requests)))
        elif path == "/_fake/script":
            try:
                fake.script.extend(msgspec.json.decode(body, type=list[Behaviour]))
            except ValueError as error:
                self._send(400, str(error).encode())
            else:
                self._send(200, b"{}")
        else:
            self._send(404, b"{}")


def main() -> None:
    """Run the fake until it is interrupted."""
    from twisted.internet import reactor

    parser = argparse.ArgumentParser(prog="python -m clove.testing.fake_gemini")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--key", default="", help="the only key that is taken (any, without)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    fake = FakeGemini(reactor, given.key)
    fake.default = Behaviour(delay=given.delay)
    print(fake.start(given.port), flush=True)
    running: Any = reactor
    running.run()


if __name__ == "__main__":
    main()
