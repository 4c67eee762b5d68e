"""Computers that ask for a token of their own, which a person who is logged in elsewhere confirms. Pure.

The computer gets two codes: a long one, with which it asks what has become of it, and a short one, which it shows and the
person types. A token is made only when the computer comes for it, so none waits here. In memory: a relay that ends
forgets them, and the computer begins anew.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from clove.errors import AlreadyExists, NotFound, PermissionDenied, Unavailable
from clove.relay.tokens.lockout import source_of

__all__ = ["SECONDS", "Confirmation", "Login", "Logins"]

SECONDS: Final = 600.0
"""For so long the codes are good."""
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Of short codes: no vowels, so that they are no words, and nothing that looks like another."""
_HALF: Final = 4


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has decided.

    @ivar token_id: of the administrator's token.
    @ivar name: the new token's.
    @ivar hours: for which it is good; None: without end.
    """

    token_id: str
    name: str
    hours: float | None


class Login(msgspec.Struct, kw_only=True):
    """One computer that waits.

    @ivar code: the short one, as people see it.
    @ivar name: what the computer says that it is.
    @ivar source: the address that it came from.
    @ivar until: by the clock.
    """

    code: str
    name: str
    source: str
    until: float
    confirmation: Confirmation | None = None
    refused: bool = False


class Logins:
    """Those that wait; times are seconds of a monotonic clock.

    @param most: of all addresses together.
    @param of_address: of one address (of IPv6 the first 64 bits); one more takes the place of its oldest.
    @param choose: one of a sequence, unpredictably.
    """

    def __init__(
        self, most: int, of_address: int, choose: Callable[[str], str] = secrets.choice
    ) -> None:
        self._most = most
        self._of_address = of_address
        self._choose = choose
        self._by_digest: dict[bytes, Login] = {}

    def begin(self, name: str, source: str, now: float) -> tuple[str, Login]:
        """One more; gives its long code.

        @raise Unavailable: many wait already.
        """
        self._drop_old(now)
        address = source_of(source)
        own = [key for key, each in self._by_digest.items() if source_of(each.source) == address]
        if len(own) >= self._of_address:
            del self._by_digest[own[0]]
        if len(self._by_digest) >= self._most:
            raise Unavailable(
                "many computers wait for their confirmation already",
                hint="log in with a token (clove login URL), or try again in some minutes",
            )
        secret = secrets.token_urlsafe(32)
        made = Login(code=self._new_code(), name=name, source=source, until=now + SECONDS)
        self._by_digest[_digest(secret)] = made
        return secret, made

    def waiting(self, code: str, now: float) -> Login:
        """The one with this short code, which nobody has decided about.

        @raise NotFound: there is none (any more).
        @raise AlreadyExists: somebody has decided.
        """
        self._drop_old(now)
        wanted = _normal(code)
        found = next((each for each in self._by_digest.values() if each.code == wanted), None)
        if found is None:
            raise NotFound(
                "no computer waits with this code",
                hint="it is good once, for ten minutes: run clove login --browser again",
            )
        if found.confirmation is not None or found.refused:
            raise AlreadyExists(
                "this code was used already", hint="run clove login --browser again"
            )
        return found

    def confirm(self, code: str, confirmation: Confirmation, now: float) -> Login:
        """A person has said yes. Raises as L{waiting}."""
        found = self.waiting(code, now)
        found.confirmation = confirmation
        return found

    def refuse(self, code: str, now: float) -> Login:
        """A person has said no. Raises as L{waiting}."""
        found = self.waiting(code, now)
        found.refused = True
        return found

    def collect(self, secret: str, now: float) -> Confirmation | None:
        """What has become of the one with this long code; None: nobody has decided yet. Once decided it is forgotten.

        @raise NotFound: there is none (any more).
        @raise PermissionDenied: a person has refused it.
        """
        self._drop_old(now)
        key = _digest(secret)
        found = self._by_digest.get(key)
        if found is None:
            raise NotFound(
                "this login has ended: ten minutes have gone by, or the relay was started anew",
                hint="run clove login --browser again",
            )
        if found.refused:
            del self._by_digest[key]
            raise PermissionDenied("this login was refused on the relay's page", rule="login")
        if found.confirmation is not None:
            del self._by_digest[key]
        return found.confirmation

    def _drop_old(self, now: float) -> None:
        for key in [key for key, each in self._by_digest.items() if each.until <= now]:
            del self._by_digest[key]

    def _new_code(self) -> str:
        known = {each.code for each in self._by_digest.values()}
        while True:
            halves = ("".join(self._choose(_LETTERS) for _ in range(_HALF)) for _ in range(2))
            code = "-".join(halves)
            if code not in known:
                return code


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _normal(code: str) -> str:
    """As it was shown, however it was typed."""
    letters = code.upper().replace("-", "").replace(" ", "")
    return f"{letters[:_HALF]}-{letters[_HALF:]}"
