"""Gemini, through google-genai's asynchronous client.

The library is told everything that it would otherwise take from the
environment: no proxies, no redirects (they would carry the key along), no
Vertex, no tries of its own.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlsplit

from google import genai
from google.genai import errors, types
from zope.interface import implementer

from clove.errors import CloveError, InvalidRequest, Unavailable
from clove.llm.exchange import Ask, Done
from clove.llm.forwarder import Forwarder, trust
from clove.llm.gemini_format import Collected, config, contents
from clove.llm.options import DEFAULT_HOST, Options, proxy_credentials, proxy_url
from clove.llm.provider import Emit, IProvider

__all__ = ["DEFAULT_MODEL", "Gemini", "retry_after"]

DEFAULT_MODEL = "gemini-flash-latest"
"""The provider's own alias for its newest fast model."""
MOST_CONNECTIONS: Final = 128
"""Through a proxy that the library does not speak with; it keeps at most 100."""

_AGAIN = frozenset({429, 500, 502, 503, 504})
_MESSAGE = 500
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_TRANSPORTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp"})


@implementer(IProvider)
class Gemini:
    """Answers with Google's models."""

    name = "gemini"

    def __init__(self, options: Options, key: str) -> None:
        """Make the client; nothing is sent yet."""
        self.model = options.model or DEFAULT_MODEL
        self._options = options
        self._key = key
        self._forwarder = _forwarder(options)
        plain: dict[str, Any] = {
            "trust_env": False,
            "follow_redirects": False,
            "proxy": self._forwarder.url if self._forwarder else proxy_url(options),
        }
        if options.ca_file:
            plain["verify"] = trust(options.ca_file)
        self._client = genai.Client(
            vertexai=False,
            api_key=key,
            http_options=types.HttpOptions(
                base_url=options.base_url or None,
                api_version=options.api_version or None,
                timeout=int(options.timeout * 1000),
                client_args=plain,
                async_client_args=dict(plain),
            ),
        )

    async def answer(self, ask: Ask, emit: Emit) -> Done:
        """Ask; ask again while the provider is busy, unless text has come already."""
        if self._forwarder is not None:
            await self._forwarder.start()
        model = ask.model or self.model
        said, settings = self._put(ask, model)
        attempt = 0
        while True:
            attempt += 1
            collected = Collected(ask, model, self._options.max_answer)
            try:
                await self._once(model, said, settings, collected, emit if ask.stream else None)
                return collected.done()
            except errors.APIError as error:
                if self._is_final(attempt, error.code, collected):
                    raise collected.spent(self._explain(error)) from None
                wait = retry_after(error)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                # What the library and pydantic raise over an answer of an unknown shape.
                print(f"question {ask.id}: {type(error).__name__}", file=sys.stderr, flush=True)
                text = "the provider's answer cannot be understood"
                raise collected.spent(Unavailable(text, hint="ask again")) from None
            except OSError as error:
                text = f"the provider cannot be reached: {self._clean(str(error))}"
                raise collected.spent(Unavailable(text, hint="ask again later")) from None
            except CloveError:
                raise
            except Exception as error:
                if type(error).__module__.partition(".")[0] not in _TRANSPORTS:
                    raise
                if self._is_final(attempt, 503, collected) or not _is_unmade(error):
                    raise collected.spent(self._unreachable(error)) from None
                wait = 0.0
            await asyncio.sleep(self._delay(attempt, wait))

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.aio.aclose()
        if self._forwarder is not None:
            await self._forwarder.close()

    def _put(self, ask: Ask, model: str) -> tuple[Any, types.GenerateContentConfig]:
        """The question in the library's terms."""
        try:
            return contents(ask), config(ask, model)
        except ValueError as error:
            text = f"the question cannot be put to Gemini: {self._clean(str(error))}"
            raise InvalidRequest(text) from None

    async def _once(
        self,
        model: str,
        said: Any,
        settings: types.GenerateContentConfig,
        collected: Collected,
        emit: Emit | None,
    ) -> None:
        models = self._client.aio.models
        if emit is None:
            collected.add(
                await models.generate_content(model=model, contents=said, config=settings)
            )
            return
        stream: Any = await models.generate_content_stream(
            model=model, contents=said, config=settings
        )
        async with aclosing(stream):
            async for piece in stream:
                text = collected.add(piece)
                if text:
                    await emit(text)

    def _is_final(self, attempt: int, code: int, collected: Collected) -> bool:
        return code not in _AGAIN or attempt >= self._options.attempts or collected.begun

    def _delay(self, attempt: int, wanted: float) -> float:
        """Seconds before the next try: what the provider wants or doubling, at most the limit."""
        most = self._options.retry_delay_max
        own = self._options.retry_delay * 2.0 ** min(attempt - 1, 16)
        return min(most, max(wanted, own * random.uniform(0.75, 1.25)))

    def _explain(self, error: errors.APIError) -> CloveError:
        """An error of the provider's as one of ours, without the key."""
        text = f"Gemini says {error.code} {self._clean(f'{error.status}: {error.message}')}"
        if error.code in (401, 403) or "API_KEY" in str(error.details):
            return Unavailable(text, hint="the operator should check the key")
        if error.code in (400, 404, 413):
            return InvalidRequest(text, hint="check the model's name and the request's fields")
        if error.code == 429:
            return Unavailable(text, hint="the provider's rate limit; ask again later")
        return Unavailable(text, hint="ask again later")

    def _unreachable(self, error: Exception) -> CloveError:
        """A failed connection as an error of ours."""
        name = type(error).__name__
        if UNTRUSTED in str(error):
            text = "the provider's certificate is not trusted"
            hint = "a proxy that reads TLS needs its certificates in egress.ca_file"
            return Unavailable(text, hint=hint)
        if name == "ProxyError":
            text = f"the proxy does not connect to the provider: {self._clean(str(error))}"
            hint = "the operator should check egress.proxy and its credentials"
            return Unavailable(text, hint=hint)
        return Unavailable(f"the connection to the provider failed: {name}", hint="ask again")

    def _clean(self, text: str) -> str:
        text = text.replace(self._key, "[key]")
        return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text)[:_MESSAGE]


def _is_unmade(error: Exception) -> bool:
    """Whether a connection could not be made, for a reason that may pass."""
    return type(error).__name__.startswith("Connect") and UNTRUSTED not in str(error)


def _forwarder(options: Options) -> Forwarder | None:
    """What leads to a proxy that the library does not speak with; None where it is not needed.

    @raise ValueError: the provider is not reached by TLS, or a file cannot be used.
    """
    if not options.proxy or options.proxy.startswith("http://"):
        return None
    parts = urlsplit(options.base_url or f"https://{DEFAULT_HOST}")
    if parts.scheme != "https":
        raise ValueError(
            f"{options.proxy} carries TLS to the provider alone, and its address is {options.base_url}"
        )
    return Forwarder(
        options.proxy,
        proxy_credentials(options),
        options.ca_file,
        parts.hostname or "",
        parts.port or 443,
        MOST_CONNECTIONS,
    )


def retry_after(error: errors.APIError) -> float:
    """Seconds that the provider asks to wait (google.rpc.RetryInfo); 0 if it does not say."""
    details = error.details if isinstance(error.details, dict) else {}
    inner = details.get("error", details)
    entries = inner.get("details", ()) if isinstance(inner, dict) else ()
    for entry in entries if isinstance(entries, list) else ():
        found = isinstance(entry, dict) and re.fullmatch(
            r"(\d+(?:\.\d+)?)s", str(entry.get("retryDelay", ""))
        )
        if found:
            return float(found.group(1))
    return 0.0
