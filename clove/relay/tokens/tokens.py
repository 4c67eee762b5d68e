"""Issuing, checking and revoking tokens."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

from clove.errors import CloveError, NotAuthenticated, NotFound
from clove.relay.records import Identity, Targets, TokenKind, TokenRecord
from clove.relay.store.interface import IStore
from clove.relay.tokens import form
from clove.relay.tokens.expiry import Expiry, Now
from clove.relay.tokens.lockout import LockOut, LockOutLimits, source_of

__all__ = ["Cut", "Tokens"]

Cut = Callable[[str], None]
"""Ends what a token opened; is told why, in words."""
_NOT_VALID: Final = "the token is not valid"
_HINT: Final = "it is unknown, revoked, used up or expired; ask for a new one"
_STEP: Final = 2.0
"""Seconds by which the clocks may differ more than a second ago, before that is logged."""
_REVOKED_SECONDS: Final = 3600.0
"""How long after its revocation something that a token opened before may begin to be watched."""


class Tokens:
    """The tokens of a relay.

    @param clock: the reactor; measures.
    @param wall: seconds since the epoch.
    @param elapsed: seconds that go on while the machine is suspended, too; without it those of C{clock}.
    """

    log = Logger()

    def __init__(
        self,
        store: IStore,
        clock: Any,
        wall: Callable[[], float],
        limits: LockOutLimits | None = None,
        elapsed: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._lockout = LockOut(limits)
        self._watchers: dict[str, dict[object, Cut]] = {}
        self._revoked: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._elapsed: Callable[[], float] = elapsed or clock.seconds
        self._now: Callable[[], Now] = lambda: Now(wall(), self._elapsed())
        self._expiry = Expiry()
        self._shortened: dict[str, float] = {}
        self._ahead = wall() - self._elapsed()

    async def identify(self, token: str, source: str, machine: str = "") -> Identity:
        """Who bears this token.

        @param source: the address that it came from.
        @param machine: that its bearer claims to be.
        @raise NotAuthenticated: it is mistyped, or not valid.
        @raise LockedOut: too many have failed from there; whether this one is valid, was not looked at.
        @raise Unavailable: the store does not answer.
        """
        self.check_attempt(source, machine)
        try:
            record = await self._valid(token)
        except NotAuthenticated:
            self.attempt_failed(source, machine)
            raise
        self.check_attempt(
            source, machine
        )  # others may have failed meanwhile: then it learns nothing
        self._lockout.succeeded(source_of(source), self._clock.seconds())
        self._used[record.id] = self._wall()
        return record.identity()

    def check_attempt(self, source: str, machine: str = "") -> None:
        """To be called before a token or a key is looked at.

        @param machine: that it is claimed to be of.
        @raise LockedOut: too many have failed from there, or for that machine.
        """
        self._lockout.check(source_of(source), self._clock.seconds(), machine)

    def attempt_failed(self, source: str, machine: str = "") -> None:
        """It was wrong; to be called before that is said.

        @raise LockedOut: others have failed meanwhile: then this one learns nothing.
        """
        self.check_attempt(source, machine)
        self._lockout.failed(source_of(source), self._clock.seconds(), machine)

    def attempt_succeeded(self, source: str, machine: str = "") -> None:
        """It was right; to be called before that is said.

        @raise LockedOut: as L{attempt_failed}.
        """
        self.check_attempt(source, machine)
        self._lockout.succeeded(source_of(source), self._clock.seconds(), machine)

    async def _valid(self, token: str) -> TokenRecord:
        kind = form.checked_kind(token)
        digest = form.digest(token)
        record = await self._store.token_by_digest(digest)
        if (
            record is None
            or not hmac.compare_digest(record.digest, digest)
            or record.kind is not kind
        ):
            raise NotAuthenticated(_NOT_VALID, hint=_HINT)
        self.check_valid(record.identity())
        if not record.is_valid(self._wall()):
            raise NotAuthenticated(_NOT_VALID, hint=_HINT)
        return record

    async def of_id(self, token_id: str) -> Identity:
        """Who bears a token that was shown to another relay of the same store.

        @raise NotAuthenticated: it is not valid.
        @raise Unavailable: the store does not answer.
        """
        try:
            record = await self._store.token(token_id)
        except NotFound:
            raise NotAuthenticated(_NOT_VALID, hint=_HINT) from None
        identity = record.identity()
        self.check_valid(identity)
        if not record.is_valid(self._wall()):
            raise NotAuthenticated(_NOT_VALID, hint=_HINT)
        return identity

    def check_valid(self, identity: Identity) -> None:
        """To be called before something is opened for a bearer who was identified a while ago.

        @raise NotAuthenticated: the token was revoked or has expired since, as far as this relay knows.
        """
        token_id = identity.token_id
        if identity.expires is not None and identity.expires <= self._wall():
            self._expiry.note_expired(token_id)  # the wall clock may be set back later
        if token_id in self._revoked or self._expiry.has_expired(token_id):
            raise NotAuthenticated(_NOT_VALID, hint=_HINT)

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

    async def shorten(self, token_id: str, at: float) -> TokenRecord:
        """Have a token expire then, if it was not to before; what it has opened ends then, too.

        @raise NotFound: there is none of this id.
        """
        record = await self._store.expire_token(token_id, at)
        self.expires_sooner(record)
        return record

    def expires_sooner(self, record: TokenRecord) -> None:
        """A token may expire sooner than it was known to when its bearers were identified."""
        if record.expires is None:
            return
        self._shortened[record.id] = record.expires
        if record.id in self._watchers:
            self._expiry.forget(record.id)
            self._expiry.watch(record.id, record.expires, self._now())

    def cut(self, token_id: str, reason: str) -> None:
        """End what a token opened that is not valid any more."""
        now = self._clock.seconds()
        old = [each for each, at in self._revoked.items() if at + _REVOKED_SECONDS < now]
        for each in old:
            del self._revoked[each]
        self._revoked[token_id] = now
        self._end(token_id, reason)

    def _end(self, token_id: str, reason: str) -> None:
        self._expiry.forget(token_id)
        for cut in list(self._watchers.pop(token_id, {}).values()):
            _call(cut, reason)

    def watch(self, identity: Identity, cut: Cut) -> Callable[[], None]:
        """Have what a token has opened ended when the token is revoked or expires.

        It may be revoked already, since L{identify} has answered: then C{cut} is called at once.

        @return: stop watching; to be called when what was opened has ended by itself.
        """
        if identity.token_id in self._revoked:
            _call(cut, "its token was revoked")
            return lambda: None
        key = object()

        def stop() -> None:
            watchers = self._watchers.get(identity.token_id, {})
            if watchers.pop(key, None) is not None and not watchers:
                del self._watchers[identity.token_id]
                self._expiry.forget(identity.token_id)

        self._watchers.setdefault(identity.token_id, {})[key] = cut
        expires = self._shortened.get(
            identity.token_id, identity.expires
        )  # since it was identified
        if expires is not None:
            self._expiry.watch(identity.token_id, expires, self._now())
        return stop

    def end_expired(self) -> None:
        """End what tokens have opened that have expired; to be called every second."""
        now = self._now()
        ahead = now.wall - now.elapsed
        if abs(ahead - self._ahead) > _STEP:
            self.log.warn(
                "the wall clock was set by {seconds:+.0f} s: tokens expire by it",
                seconds=ahead - self._ahead,
            )
        self._ahead = ahead
        for token_id in [each for each, at in self._shortened.items() if at <= now.wall]:
            del self._shortened[token_id]
        for token_id in self._expiry.due(now):
            self._end(token_id, "its token has expired")

    def watched(self) -> list[str]:
        """The ids of tokens that have opened something."""
        return list(self._watchers)

    def last_used(self, record: TokenRecord) -> float | None:
        """When it was used last, also if that is not written yet."""
        return self._used.get(record.id, record.last_used)

    async def write_used(self) -> None:
        """Keep when tokens were used last; once a minute, and at the end."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            await self._store.used_tokens(used)
        except CloveError:
            self._used = {**used, **self._used}
            raise


def _call(cut: Cut, reason: str) -> None:
    try:
        cut(reason)
    except Exception:
        Tokens.log.failure("what a token opened could not be ended")
