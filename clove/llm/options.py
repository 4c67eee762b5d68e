"""How the service is told what to do: arguments, and the key from the environment or a file."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clove.regular import open_regular, read_regular

__all__ = ["BASE_URL_VARIABLE", "KEY_VARIABLES", "Options", "arguments", "parse", "read_key"]

KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
"""Looked at in this order."""
BASE_URL_VARIABLE = "CLOVE_GEMINI_BASE_URL"

_KEY_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The service's configuration. Only the operator's configuration gets here.

    @ivar provider: offline or gemini.
    @ivar model: default model; "" for the provider's own.
    @ivar api_version: of Gemini's REST interface; "" for the library's default.
    @ivar key: the API key; never shown.
    @ivar key_file: where the key is read from instead.
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
    key = _from_file(options.key_file) if options.key_file else options.key
    if not key:
        raise ValueError("there is no key in GEMINI_API_KEY, GOOGLE_API_KEY or --key-file")
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError("the key has characters that no key has")
    return key


def _from_file(path: str) -> str:
    try:
        descriptor = open_regular(path)
        if os.fstat(descriptor).st_mode & 0o007:
            os.close(descriptor)
            raise ValueError(f"all users can read {path} or change it; chmod o-rwx it")
        return read_regular(descriptor, _KEY_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
