"""Issuing, checking and revoking tokens."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

from clove.errors import NotAuthenticated
from clove.relay.records import Identity, Targets, TokenKind, TokenRecord
from clove.relay.store.interface import IStore
from clove.relay.tokens import form
from clove.relay.tokens.lockout import LockOut, LockOutLimits, source_of

__all__ = ["Cut", "Tokens"]

Cut = Callable[[str], None]
"""Ends what a token opened; is told why, in words."""
_NOT_VALID: Final = "the token is not valid"
_HINT: Final = "it is unknown, revoked, used up or expired; ask for a new one"
_REVOKED_SECONDS: Final = 3600.0
"""How long after its revocation something that a token opened before may begin to be watched."""


class Tokens:
    """The tokens of a relay.

    @param clock: the reactor; measures.
    @param wall: seconds since the epoch.
    """

    log = Logger()

    def __init__(
        self,
        store: IStore,
        clock: Any,
        wall: Callable[[], float],
        limits: LockOutLimits | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._lockout = LockOut(limits)
        self._watchers: dict[str, dict[object, Cut]] = {}
        self._revoked: dict[str, float] = {}
        self._used: dict[str, float] = {}

    async def identify(self, token: str, source: str) -> Identity:
        """Who bears this token.

        @param source: the address that it came from.
        @raise NotAuthenticated: it is mistyped, or not valid.
        @raise LockedOut: too many have failed from there; whether this one is valid, was not looked at.
        @raise Unavailable: the store does not answer.
        """
        address = source_of(source)
        self._lockout.check(address, self._clock.seconds())
        try:
            record = await self._valid(token)
        except NotAuthenticated:
            self._refuse_locked(address)
            self._lockout.failed(address, self._clock.seconds())
            raise
        self._refuse_locked(address)
        self._lockout.succeeded(address, self._clock.seconds())
        self._used[record.id] = self._wall()
        return record.identity()

    def _refuse_locked(self, address: str) -> None:
        """Others may have failed from there while this one was looked up: then it learns nothing.

        @raise LockedOut: so it is.
        """
        self._lockout.check(address, self._clock.seconds())

    async def _valid(self, token: str) -> TokenRecord:
        kind = form.checked_kind(token)
        digest = form.digest(token)
        record = await self._store.token_by_digest(digest)
        if (
            record is None
            or not hmac.compare_digest(record.digest, digest)
            or record.kind is not kind
            or record.id in self._revoked
            or not record.is_valid(self._wall())
        ):
            raise NotAuthenticated(_NOT_VALID, hint=_HINT)
        return record

    def make(
        self,
        kind: TokenKind,
        *,
        name: str = "",
        machine_id: str = "",
        targets: Targets | None = None,
        permissions: dict[str, Any] | None = None,
        expires: float | None = None,
    ) -> tuple[str, TokenRecord]:
        """A new token's text, and what is to be kept of it; it is not kept yet."""
        text = form.make(kind, secrets.token_bytes(form.ENTROPY))
        record = TokenRecord(
            id=secrets.token_hex(8),
            digest=form.digest(text),
            kind=kind,
            name=name,
            machine_id=machine_id,
            targets=targets or Targets(),
            permissions=permissions or {},
            created=self._wall(),
            expires=expires,
        )
        return text, record

    async def issue(self, kind: TokenKind, **given: Any) -> tuple[str, TokenRecord]:
        """Make a token (L{make}) and keep it; its text is in no other place than this answer."""
        text, record = self.make(kind, **given)
        await self._store.add_token(record)
        return text, record

    async def revoke(self, token_id: str) -> TokenRecord:
        """Make a token invalid for good. When this returns, it is, and what it opened has been cut.

        @raise NotFound: there is none of this id.
        """
        record = await self._store.revoke_token(token_id, self._wall())
        self.cut(token_id, "its token was revoked")
        return record

    def cut(self, token_id: str, reason: str) -> None:
        """End what a token opened that is not valid any more."""
        now = self._clock.seconds()
        old = [each for each, at in self._revoked.items() if at + _REVOKED_SECONDS < now]
        for each in old:
            del self._revoked[each]
        self._revoked[token_id] = now
        for cut in list(self._watchers.pop(token_id, {}).values()):
            self._call(cut, reason)

    def watch(self, identity: Identity, cut: Cut) -> Callable[[], None]:
        """Have what a token has opened ended when the token is revoked or expires.

        It may be revoked already, since L{identify} has answered: then C{cut} is called at once.

        @return: stop watching; to be called when what was opened has ended by itself.
        """
        if identity.token_id in self._revoked:
            self._call(cut, "its token was revoked")
            return lambda: None
        key = object()
        timer: Any = None

        def stop() -> None:
            watchers = self._watchers.get(identity.token_id, {})
            watchers.pop(key, None)
            if not watchers:
                self._watchers.pop(identity.token_id, None)
            if timer is not None and timer.active():
                timer.cancel()

        def ended(reason: str) -> None:
            stop()
            cut(reason)

        self._watchers.setdefault(identity.token_id, {})[key] = ended
        if identity.expires is not None:
            left = max(0.0, identity.expires - self._wall())
            timer = self._clock.callLater(left, ended, "its token has expired")
        return stop

    def watched(self) -> list[str]:
        """The ids of tokens that have opened something."""
        return list(self._watchers)

    def _call(self, cut: Cut, reason: str) -> None:
        try:
            cut(reason)
        except Exception:
            self.log.failure("what a token opened could not be ended")

    async def write_used(self) -> None:
        """Keep when tokens were used last; once a minute, and at the end."""
        used, self._used = self._used, {}
        if used:
            await self._store.used_tokens(used)
