"""How a token looks: `clove_KIND_RANDOM_CHECKSUM`. Pure.

The beginning names product and kind, so that scanners of secrets know it; there is nothing in it
but letters, digits and `_`, so that a double click selects all of it; and the checksum tells what
was mistyped from what is not valid, without a look-up. 43 characters of base62 hold 32 bytes.
"""

from __future__ import annotations

import hashlib
import re
import string
import zlib
from typing import Final

from clove.errors import NotAuthenticated
from clove.relay.records import TokenKind

__all__ = ["ENTROPY", "checked_kind", "digest", "make", "redact"]

ENTROPY: Final = 32
"""Random bytes of a token."""
_RANDOM: Final = 43
_CHECKSUM: Final = 6
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM: Final = re.compile(
    f"clove_({'|'.join(kind.value for kind in TokenKind)})"
    f"_[0-9A-Za-z]{{{_RANDOM}}}_([0-9A-Za-z]{{{_CHECKSUM}}})"
)
_ANYWHERE: Final = re.compile(r"(clove_[a-z]+_)[0-9A-Za-z]{8,}(_[0-9A-Za-z]*)?")


def make(kind: TokenKind, entropy: bytes) -> str:
    """The text of a token.

    @param entropy: L{ENTROPY} bytes of a cryptographic source.
    """
    assert len(entropy) == ENTROPY
    text = f"clove_{kind.value}_{_base62(int.from_bytes(entropy, 'big'), _RANDOM)}"
    return f"{text}_{_checksum(text)}"


def checked_kind(token: str) -> TokenKind:
    """The kind that a token says it is; whether it is valid, only the store knows.

    @raise NotAuthenticated: it is no token, or a mistyped one.
    """
    match = _FORM.fullmatch(token)
    if match is None:
        raise NotAuthenticated("this is no token", hint="a token is clove_KIND_... in one piece")
    if _checksum(token.rpartition("_")[0]) != match[2]:
        raise NotAuthenticated("the token is mistyped", hint="copy all of it again")
    return TokenKind(match[1])


def digest(token: str) -> bytes:
    """What is kept of it: SHA-256. Its 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def redact(text: str) -> str:
    """A text without the secrets of tokens in it, for logs."""
    return _ANYWHERE.sub(r"\1...", text)


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
