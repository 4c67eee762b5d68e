"""What each agent has used of its quota, and what it has reserved. Pure.

A call is reserved before it goes to the provider and settled after; so however
many run at once, used and reserved together stay within the quota. 0 as a
maximum means no limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from clove.errors import QuotaExceeded

__all__ = ["Ledger", "Quota", "Reservation"]

_HINT = "ask for a larger quota (max_llm_calls, max_llm_tokens)"


@dataclass(frozen=True, slots=True)
class Quota:
    """How much an agent may use in all; 0: no limit."""

    max_calls: int = 0
    max_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """One call's share.

    @ivar tokens: reserved; 0 when the agent has no token quota.
    """

    agent_id: int
    tokens: int


@dataclass(slots=True)
class _Account:
    calls: int = 0
    tokens: int = 0
    reserved_calls: int = 0
    reserved_tokens: int = 0
    budget: int = 0


class Ledger:
    """Every agent's account, from its first call until it is closed."""

    def __init__(self) -> None:
        self._accounts: dict[int, _Account] = {}

    def reserve(
        self, agent_id: int, quota: Quota, input_tokens: int, output_tokens: int
    ) -> Reservation | None:
        """Set a call's share aside.

        @param input_tokens: estimate for the question.
        @param output_tokens: wanted for the answer; it may get fewer.
        @return: None when nothing is free until a running call of this agent ends.
        @raise QuotaExceeded: nothing can become free.
        """
        account = self._account(agent_id)
        account.budget = quota.max_tokens
        self._check(account, quota, input_tokens)
        if quota.max_calls and account.calls + account.reserved_calls >= quota.max_calls:
            return None
        share = 0
        if quota.max_tokens:
            free = quota.max_tokens - account.tokens - account.reserved_tokens
            share = input_tokens + output_tokens
            if share > free and account.reserved_tokens:
                return None
            share = min(share, free)
        account.reserved_calls += 1
        account.reserved_tokens += share
        return Reservation(agent_id, share)

    def check(self, agent_id: int, quota: Quota, input_tokens: int) -> None:
        """Refuse early what can never go.

        @raise QuotaExceeded: what is used already leaves nothing for this call.
        """
        self._check(self._accounts.get(agent_id) or _Account(), quota, input_tokens)

    def settle(self, reservation: Reservation, tokens: int) -> None:
        """A call ended and cost this much."""
        account = self.release(reservation)
        if account is not None:
            account.calls += 1
            account.tokens += tokens

    def release(self, reservation: Reservation) -> _Account | None:
        """A call ended and cost nothing. The account, unless it was closed meanwhile."""
        account = self._accounts.get(reservation.agent_id)
        if account is not None:
            account.reserved_calls -= 1
            account.reserved_tokens -= reservation.tokens
        return account

    def charge(self, agent_id: int, quota: Quota, tokens: int, calls: int) -> bool:
        """Add usage that was had elsewhere; True if nothing is left now."""
        account = self._account(agent_id)
        account.budget = quota.max_tokens
        account.tokens += tokens
        account.calls += calls
        return bool(
            (quota.max_calls and account.calls >= quota.max_calls)
            or (quota.max_tokens and account.tokens >= quota.max_tokens)
        )

    def usage(self, agent_id: int) -> tuple[int, int, int]:
        """Tokens, calls, and the token quota last seen (0: none)."""
        account = self._accounts.get(agent_id) or _Account()
        return account.tokens, account.calls, account.budget

    def close(self, agent_id: int) -> None:
        """Forget an agent. Ids are never used again, so nobody inherits the account."""
        self._accounts.pop(agent_id, None)

    def _account(self, agent_id: int) -> _Account:
        return self._accounts.setdefault(agent_id, _Account())

    @staticmethod
    def _check(account: _Account, quota: Quota, input_tokens: int) -> None:
        if quota.max_calls and account.calls >= quota.max_calls:
            raise QuotaExceeded(
                f"all {quota.max_calls} LLM calls are used", rule="max_llm_calls", hint=_HINT
            )
        left = quota.max_tokens - account.tokens
        if quota.max_tokens and left <= 0:
            raise QuotaExceeded(
                f"all {quota.max_tokens} LLM tokens are used", rule="max_llm_tokens", hint=_HINT
            )
        if quota.max_tokens and input_tokens >= left:
            raise QuotaExceeded(
                f"the question alone takes about {input_tokens} tokens, {left} are left",
                rule="max_llm_tokens",
                hint=_HINT,
            )
