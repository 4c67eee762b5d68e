"""What each agent has used of its quota, and what it has reserved. Pure.

A call is reserved before it goes to the provider and settled after; so however
many run at once, used and reserved together stay within the quota. 0 as a
maximum means no limit.

A child's quota comes out of its parent's: every call is checked against, reserved from and
charged to the account of the agent and those of all its ancestors. An ancestor's account
stays as long as any descendant's does, with the quota that it had at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from clove.errors import QuotaExceeded

if TYPE_CHECKING:
    from clove.policy import Permissions

__all__ = ["Ledger", "Quota", "Reservation", "quota_of"]

_HINT = "ask for a larger quota (max_llm_calls, max_llm_tokens)"


class Quota(msgspec.Struct, frozen=True):
    """How much an agent, with all that it spawned, may use in all; 0: no limit."""

    max_calls: int = 0
    max_tokens: int = 0


def quota_of(permissions: Permissions) -> Quota:
    """What permissions allow."""
    return Quota(permissions.max_llm_calls, permissions.max_llm_tokens)


class _Account(msgspec.Struct):
    """One agent's.

    @ivar own_calls, own_tokens: used by the agent itself.
    @ivar calls, tokens: and by all its descendants.
    @ivar quota: the last that is known.
    @ivar children: accounts that have this one for their parent.
    @ivar closed: its agent has ended.
    @ivar dropped: and it bounds nothing any more.
    """

    agent_id: int
    parent: _Account | None = None
    own_calls: int = 0
    own_tokens: int = 0
    calls: int = 0
    tokens: int = 0
    reserved_calls: int = 0
    reserved_tokens: int = 0
    quota: Quota = Quota()
    children: int = 0
    closed: bool = False
    dropped: bool = False

    def with_ancestors(self) -> list[_Account]:
        """This account, its parent's, and so on."""
        found: list[_Account] = []
        account: _Account | None = self
        while account is not None:
            found.append(account)
            account = account.parent
        return found


class Reservation(msgspec.Struct, frozen=True, eq=False):
    """One call's share.

    @ivar account: its agent's, of the life in which that asked; a restored agent has another one.
    @ivar tokens: reserved of each account; 0 when none has a token quota.
    """

    account: _Account
    tokens: int


class Ledger:
    """Every agent's account, from when it or a child of its first needs one until nothing below it
    is left.

    @param quota_of: an agent's quota as it is now; None: it has ended, or is not known.
    """

    def __init__(self, quota_of: Callable[[int], Quota | None] = lambda _: None) -> None:
        self._accounts: dict[int, _Account] = {}
        self._quota_of = quota_of

    def open(self, agent_id: int, parent_id: int = 0) -> None:
        """Open an agent's account. One that no other bounds needs that not: it is opened at first use.

        @param parent_id: the agent whose account bounds it as well, which lives; 0: none.
        """
        parent = self._account(parent_id) if parent_id else None
        self._accounts[agent_id] = _Account(agent_id, parent)
        if parent is not None:
            parent.children += 1

    def _account(self, agent_id: int) -> _Account:
        """An agent's account, opened if it has none."""
        account = self._accounts.get(agent_id)
        restored = account is not None and account.closed and self._quota_of(agent_id) is not None
        if account is None or restored:  # of its earlier life one may bound others still
            account = self._accounts[agent_id] = _Account(agent_id)
        return account

    def reserve(
        self, agent_id: int, quota: Quota, input_tokens: int, output_tokens: int
    ) -> Reservation | None:
        """Set a call's share aside.

        @param quota: the agent's, unless there is a newer one.
        @param input_tokens: estimate for the question.
        @param output_tokens: wanted for the answer; it may get fewer.
        @return: None when nothing is free until a running call of this family ends.
        @raise QuotaExceeded: nothing can become free.
        """
        accounts = self._current(agent_id, quota)
        for account in accounts:
            self._check(account, agent_id, input_tokens)
        share = wanted = input_tokens + output_tokens
        for account in accounts:
            calls, tokens = account.quota.max_calls, account.quota.max_tokens
            if calls and account.calls + account.reserved_calls >= calls:
                return None
            if tokens:
                free = tokens - account.tokens - account.reserved_tokens
                if wanted > free and account.reserved_tokens:
                    return None
                share = min(share, free)
        if not any(account.quota.max_tokens for account in accounts):
            share = 0
        for account in accounts:
            account.reserved_calls += 1
            account.reserved_tokens += share
        return Reservation(accounts[0], share)

    def check(self, agent_id: int, quota: Quota, input_tokens: int) -> None:
        """Refuse early what can never go.

        @raise QuotaExceeded: what is used already leaves nothing for this call.
        """
        for account in self._current(agent_id, quota):
            self._check(account, agent_id, input_tokens)

    def settle(self, reservation: Reservation, tokens: int) -> None:
        """A call ended and cost this much."""
        self._end(reservation, tokens, 1)

    def release(self, reservation: Reservation) -> None:
        """A call ended and cost nothing."""
        self._end(reservation, 0, 0)

    def _end(self, reservation: Reservation, tokens: int, calls: int) -> None:
        account = reservation.account
        for each in account.with_ancestors():
            each.reserved_calls -= 1
            each.reserved_tokens -= reservation.tokens
        _add(account, tokens, calls)
        self._drop_unused(account)

    def charge(
        self, agent_id: int, quota: Quota, tokens: int, calls: int, *, may_ask: bool = True
    ) -> bool:
        """Add usage that an agent reports from elsewhere; True if nothing is left now.

        Each of its ancestors is charged no more than the agent could have used by asking: an agent
        with a small quota, or none, cannot use up its family's by reports alone.

        @param may_ask: it may ask for answers.
        """
        accounts = self._current(agent_id, quota)
        own = accounts[0]
        own.own_tokens += tokens
        own.own_calls += calls
        for account in accounts:
            calls_left = account.quota.max_calls - account.calls
            tokens_left = account.quota.max_tokens - account.tokens
            account.calls += calls
            account.tokens += tokens
            limited = account.quota.max_calls > 0, account.quota.max_tokens > 0
            if not may_ask or (limited[0] and calls_left <= 0) or (limited[1] and tokens_left <= 0):
                calls = tokens = 0
            elif limited[1]:
                tokens = min(tokens, tokens_left)
        return any(
            (account.quota.max_calls and account.calls >= account.quota.max_calls)
            or (account.quota.max_tokens and account.tokens >= account.quota.max_tokens)
            for account in accounts
        )

    def usage(self, agent_id: int) -> tuple[int, int, int]:
        """An agent's own tokens and calls, and the token quota last seen (0: none)."""
        account = self._accounts.get(agent_id)
        if account is None or account.closed:
            return 0, 0, 0
        return account.own_tokens, account.own_calls, account.quota.max_tokens

    def close(self, agent_id: int, quota: Quota | None = None) -> None:
        """Close the account of an agent that has ended, and may be restored under its id.

        @param quota: what it had at its end; None: what was last known.
        """
        account = self._accounts.get(agent_id)
        if account is None:
            return
        account.closed = True
        account.quota = quota or account.quota
        self._drop_unused(account)

    def _drop_unused(self, account: _Account) -> None:
        """Forget an account that bounds nothing any more, and those above that it was kept for."""
        for each in account.with_ancestors():
            if not each.closed or each.children or each.reserved_calls:
                return
            if self._accounts.get(each.agent_id) is each:
                del self._accounts[each.agent_id]
            if not each.dropped and each.parent is not None:
                each.parent.children -= 1
            each.dropped = True

    def _current(self, agent_id: int, quota: Quota) -> list[_Account]:
        """The accounts that a call is charged to, its own first, each with its quota of now."""
        account = self._account(agent_id)
        account.quota = quota
        accounts = account.with_ancestors()
        for each in accounts:
            each.quota = self._quota_of(each.agent_id) or each.quota
        return accounts

    @staticmethod
    def _check(account: _Account, agent_id: int, input_tokens: int) -> None:
        quota = account.quota
        of_family = "" if account.agent_id == agent_id else f" of agent {account.agent_id}'s family"
        if quota.max_calls and account.calls >= quota.max_calls:
            raise QuotaExceeded(
                f"all {quota.max_calls} LLM calls{of_family} are used",
                rule="max_llm_calls",
                hint=_HINT,
            )
        left = quota.max_tokens - account.tokens
        if quota.max_tokens and left <= 0:
            raise QuotaExceeded(
                f"all {quota.max_tokens} LLM tokens{of_family} are used",
                rule="max_llm_tokens",
                hint=_HINT,
            )
        if quota.max_tokens and input_tokens >= left:
            raise QuotaExceeded(
                f"the question alone takes about {input_tokens} tokens, {left}{of_family} are left",
                rule="max_llm_tokens",
                hint=_HINT,
            )


def _add(account: _Account, tokens: int, calls: int) -> None:
    """Charge an agent, and with it all its ancestors."""
    account.own_tokens += tokens
    account.own_calls += calls
    for each in account.with_ancestors():
        each.tokens += tokens
        each.calls += calls
