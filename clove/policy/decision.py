"""The answer of every check: yes or no, which rule says so, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from clove.errors import PermissionDenied

__all__ = ["Decision"]


class Decision(NamedTuple):
    """An answer of policy.

    @ivar allowed: may it be done.
    @ivar rule: the rule that decided, such as `blocked_paths: ~/.ssh/*`.
    @ivar hint: for a denial, what would help; else empty.
    """

    allowed: bool
    rule: str
    hint: str = ""

    def require(self, what: str) -> None:
        """Go on only if allowed.

        @param what: the thing that was asked for, for the error's text.
        @raise PermissionDenied: with this decision's rule and hint.
        """
        if not self.allowed:
            raise PermissionDenied(f"{what} ({self.rule})", rule=self.rule, hint=self.hint)
