"""How the service is told what to do: arguments, and the key from the environment or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from clove.regular import read_credentials, read_secret

__all__ = [
    "BASE_URL_VARIABLE",
    "DEFAULT_HOST",
    "KEY_VARIABLES",
    "Options",
    "arguments",
    "parse",
    "proxy_credentials",
    "proxy_url",
    "read_key",
]

KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
"""Looked at in this order."""
BASE_URL_VARIABLE = "CLOVE_GEMINI_BASE_URL"
DEFAULT_HOST = "generativelanguage.googleapis.com"
"""Gemini's, where no other address is named."""

_KEY_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The service's configuration. Only the operator's configuration gets here.

    @ivar provider: offline or gemini.
    @ivar model: default model; "" for the provider's own.
    @ivar api_version: of Gemini's REST interface; "" for the library's default.
    @ivar key: the API key; never shown.
    @ivar key_file: where the key is read from instead.
    @ivar proxy: `http://HOST:PORT`, or that with https or socks5, that the provider is reached through; "" for none.
    @ivar proxy_credentials_file: where its `USER:PASSWORD` is read from; "" for none.
    @ivar ca_file: certificates in PEM that are trusted beside the host's; "" for none.
    @ivar max_open: questions open at once; one more is refused.
    @ivar max_line: bytes of a line on stdin.
    @ivar max_answer: bytes of an answer's text; a longer one is an error.
    @ivar timeout: seconds for one exchange with the provider.
    @ivar attempts: tries in all for one question.
    @ivar retry_delay: seconds before the second try; doubled for each more, with
        jitter, at most retry_delay_max.
    """

    provider: str = "offline"
    model: str = ""
    base_url: str = ""
    api_version: str = ""
    key: str = field(default="", repr=False)
    key_file: str = ""
    proxy: str = ""
    proxy_credentials_file: str = ""
    ca_file: str = ""
    max_open: int = 64
    max_line: int = 4 << 20
    max_answer: int = 4 << 20
    timeout: float = 120.0
    attempts: int = 4
    retry_delay: float = 0.5
    retry_delay_max: float = 8.0


_SHOWN = (
    "provider",
    "model",
    "base_url",
    "api_version",
    "key_file",
    "proxy",
    "proxy_credentials_file",
    "ca_file",
    "max_open",
    "max_line",
    "max_answer",
    "timeout",
    "attempts",
    "retry_delay",
    "retry_delay_max",
)


def arguments(options: Options) -> list[str]:
    """The options as command line arguments, without the key."""
    return [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in _SHOWN]


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """The options from a command line and an environment.

    @raise SystemExit: an argument is unknown or of the wrong type.
    """
    import argparse  # the service alone needs it, not the kernel

    default = Options()
    parser = argparse.ArgumentParser(prog="python -m clove.llm.service", allow_abbrev=False)
    parser.add_argument("--provider", choices=["offline", "gemini"], default=default.provider)
    for name in _SHOWN[1:]:
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args(argv))
    given["base_url"] = given["base_url"] or environ.get(BASE_URL_VARIABLE, "")
    key = next((environ[name] for name in KEY_VARIABLES if environ.get(name)), "")
    return Options(**given, key=key.strip())


def read_key(options: Options) -> str:
    """The key, read from its file if one is named.

    @raise ValueError: the file cannot be read or all users may read it, or there
        is no key, or it is none. The text never holds the key.
    """
    key = options.key
    if options.key_file:
        key = read_secret(options.key_file, _KEY_BYTES).decode("ascii", "replace").strip()
    if not key:
        raise ValueError("there is no key in GEMINI_API_KEY, GOOGLE_API_KEY or --key-file")
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError("the key has characters that no key has")
    return key


def proxy_url(options: Options) -> str | None:
    """The proxy with its credentials, as HTTP libraries take it; None without one.

    @raise ValueError: the credentials cannot be read.
    """
    credentials = proxy_credentials(options)
    if not options.proxy or credentials is None:
        return options.proxy or None
    user, password = (quote(part, safe="") for part in credentials)
    return options.proxy.replace("://", f"://{user}:{password}@", 1)


def proxy_credentials(options: Options) -> tuple[str, str] | None:
    """User and password for the proxy; None without.

    @raise ValueError: they cannot be read.
    """
    path = options.proxy_credentials_file
    return read_credentials(path) if path else None
