"""The `[llm]` section of the configuration, and the limits in it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from clove.errors import InvalidRequest
from clove.llm.options import BASE_URL_VARIABLE, DEFAULT_HOST, KEY_VARIABLES, Options
from clove.messages.think import bad_model
from clove.systemd.credentials import MODEL_KEY, credential_path

__all__ = ["LLMLimits", "LLMSettings", "Route", "service_options"]


class Route(NamedTuple):
    """How the service reaches a host; empty fields: in no particular way."""

    proxy: str = ""
    proxy_credentials_file: str = ""
    ca_file: str = ""


Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, msgspec.Meta(ge=1024, le=64 << 20)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]
ApiVersion = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]{0,16}$(?!\n)")]


class LLMLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the queue in front of the model and of the exchange with its service."""

    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 8
    """Questions with the provider at once; more wait their turn, also those past a family's
    share."""
    max_concurrent_per_agent: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 4
    """Of these, one agent's; its others wait, so that it cannot take every place."""
    max_waiting_per_agent: Count = 64
    """Questions of one agent that wait; one more is refused with `limit_exceeded`."""
    max_waiting: Count = 1024
    """Questions of all agents that wait; one more, or one past a family's share of them, is
    refused with `limit_exceeded`."""
    max_waiting_bytes: Annotated[int, msgspec.Meta(ge=1 << 20, le=4 << 30)] = 128 << 20
    """Bytes of all questions that wait; past it, or past a family's share of them, a question is
    refused with `limit_exceeded`."""
    max_request: Bytes = 4 << 20
    """Bytes of one question as sent to the service; a larger one gets `limit_exceeded`."""
    max_answer: Bytes = 4 << 20
    """Bytes of an answer's text; a longer one is given up with `limit_exceeded`."""
    queue_timeout: Seconds = 300.0
    """Seconds that a question waits for its turn; then `timeout`."""
    timeout: Seconds = 120.0
    """Seconds that the provider has for one question, retries included; then `timeout`."""
    cancel_timeout: Seconds = 10.0
    """Seconds for the service to confirm a cancelled question; then it is restarted."""


class LLMSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model answers, and within which bounds."""

    provider: Literal["auto", "gemini", "offline"] = "auto"
    """`auto`: gemini if there is a key, else offline."""
    model: str = ""
    """Asked when a request names none; empty: the provider's own default."""
    allowed_models: tuple[str, ...] = ()
    """The models that a request may name; empty: any."""
    base_url: str = ""
    """Gemini's address; empty: CLOVE_GEMINI_BASE_URL of the kernel's environment, else Google's."""
    api_version: ApiVersion = ""
    """Of Gemini's REST interface (v1, v1beta); empty: the library's default."""
    key_file: str = ""
    """A file that holds the API key, so that no environment does; empty: the credential `clove.model-key` of
    the kernel's unit, if it has one, else the environment."""
    default_output_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 4096
    """Reserved for an answer when its agent has a token quota and names no max_tokens."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 4
    """Tries for one question while the provider says 429, 500, 502, 503 or 504."""
    retry_delay: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.5
    """Seconds before the second try; doubled for each more, with jitter, at most 8."""
    limits: LLMLimits = LLMLimits()

    def __post_init__(self) -> None:
        """Check names and address; raises ValueError."""
        for name in (self.model, *self.allowed_models):
            if name and (problem := bad_model(name)):
                raise ValueError(problem)
        if self.base_url:
            _check_url(self.base_url)


def service_options(
    settings: LLMSettings,
    environ: Mapping[str, str],
    route_to: Callable[[str], Route] = lambda _: Route(),
) -> Options:
    """What the service process is told: settings, and the key and address of the environment.

    @param route_to: how a host is reached.
    @raise InvalidRequest: gemini is asked for without a key, or the address is no http(s) URL.
    """
    key_file = settings.key_file or credential_path(MODEL_KEY, environ)
    key = "" if key_file else next((environ[n] for n in KEY_VARIABLES if environ.get(n)), "")
    base_url = settings.base_url or environ.get(BASE_URL_VARIABLE, "")
    has_key = bool(key.strip() or key_file)
    provider = settings.provider
    if provider == "auto":
        provider = "gemini" if has_key else "offline"
    if provider == "gemini":
        _check(has_key, base_url)
    limits = settings.limits
    has_host = provider == "gemini"
    route = route_to(urlsplit(base_url).hostname or DEFAULT_HOST) if has_host else Route()
    return Options(
        provider=provider,
        model=settings.model,
        base_url=base_url if provider == "gemini" else "",
        api_version=settings.api_version,
        key=key.strip() if provider == "gemini" else "",
        key_file=key_file if provider == "gemini" else "",
        **route._asdict(),
        max_open=2 * limits.max_concurrent,
        max_line=limits.max_request,
        max_answer=limits.max_answer,
        timeout=limits.timeout,
        attempts=settings.attempts,
        retry_delay=settings.retry_delay,
    )


def _check(has_key: bool, base_url: str) -> None:
    """@raise InvalidRequest: there is no key, or the address is no http(s) URL."""
    if not has_key:
        raise InvalidRequest(
            "the provider gemini needs a key", hint="set GEMINI_API_KEY or llm.key_file"
        )
    try:
        if base_url:
            _check_url(base_url)
    except ValueError as error:
        raise InvalidRequest(f"{BASE_URL_VARIABLE}: {error}") from None


def _check_url(text: str) -> None:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the base URL must begin with https:// (or http://) and a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the base URL must not hold credentials, a query or a fragment")
