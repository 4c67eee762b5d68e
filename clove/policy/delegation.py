"""What can be handed on: a child never gets more than its parent has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from clove.policy.commands import command_rule
from clove.policy.domains import domain_within
from clove.policy.parsing import check_lists
from clove.policy.paths import within
from clove.policy.permissions import FLAGS, Permissions

__all__ = ["exceeds", "excesses", "narrow"]

QUOTAS: Final = ("max_llm_tokens", "max_llm_calls", "max_exec_time_ms")
BLOCKED: Final = ("blocked_paths", "blocked_commands")

Inside = Callable[[str, tuple[str, ...]], bool]
"""Takes a rule and a list; True if the rule surely grants no more than the list. To most
an empty list grants everything; to domains, every public host."""


def _command_within(text: str, rules: tuple[str, ...]) -> bool:
    rule = command_rule(text)
    return not rules or any(
        theirs.program == rule.program
        and (rule.given == theirs.given or rule.is_usual)
        and theirs.options.letters <= rule.options.letters
        and theirs.options.long <= rule.options.long
        and rule.options.rest[: len(theirs.options.rest)] == theirs.options.rest
        for theirs in map(command_rule, rules)
    )


def _same(text: str, rules: tuple[str, ...]) -> bool:
    return not rules or text in rules


ALLOWED: Final[dict[str, tuple[str, Inside]]] = {
    "allowed_read_paths": ("can_read", within),
    "allowed_write_paths": ("can_write", within),
    "allowed_commands": ("can_exec", _command_within),
    "allowed_domains": ("can_http", domain_within),
    "allowed_http_methods": ("can_http", _same),
}
"""Of each allowed list: the switch that turns it off, and what is inside what."""


def _intersection(field: str, mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    """Rules that both lists grant; empty lists (which grant all) are the caller's to see."""
    inside = ALLOWED[field][1]
    kept = [rule for rule in theirs if inside(rule, mine)]
    kept += [rule for rule in mine if rule not in kept and inside(rule, theirs)]
    return tuple(kept)


def narrow(parent: Permissions, requested: Permissions) -> Permissions:
    """What of the requested permissions a holder of the parent's may hand on.

    Switches: both must have it. Allowed lists: rules that surely lie within the
    other list; where two lists have nothing in common, the switch goes off, for
    an empty list would allow everything. Blocked lists: both together. Quotas:
    the smaller.

    @raise LimitExceeded: the blocked lists together are too long.
    """
    fields: dict[str, Any] = {
        flag: getattr(parent, flag) and getattr(requested, flag) for flag in FLAGS
    }
    for field, (flag, inside) in ALLOWED.items():
        mine, theirs = getattr(parent, field), getattr(requested, field)
        if mine and theirs:
            fields[field] = _intersection(field, mine, theirs)
        else:
            fields[field] = mine or tuple(rule for rule in theirs if inside(rule, mine))
        if (mine or theirs) and not fields[field]:
            fields[flag] = False
            fields[field] = mine
    for field in BLOCKED:
        fields[field] = tuple(dict.fromkeys(getattr(parent, field) + getattr(requested, field)))
    for field in QUOTAS:
        both = [value for value in (getattr(parent, field), getattr(requested, field)) if value]
        fields[field] = min(both, default=0)
    level = min(parent.level, requested.level, key=lambda one: one.rank)
    narrowed = msgspec.structs.replace(requested, level=level, **fields)
    check_lists(narrowed)
    return narrowed


def excesses(parent: Permissions, child: Permissions) -> list[str]:
    """The fields in which the child may have more than the parent, most telling first."""
    found = [flag for flag in FLAGS if getattr(child, flag) and not getattr(parent, flag)]
    for field, (flag, inside) in ALLOWED.items():
        if not getattr(child, flag):
            continue
        mine, theirs = getattr(parent, field), getattr(child, field)
        if (mine and not theirs) or not all(inside(rule, mine) for rule in theirs):
            found.append(field)
    for field in BLOCKED:
        if not set(getattr(parent, field)) <= set(getattr(child, field)):
            found.append(field)
    for field in QUOTAS:
        most, asked = getattr(parent, field), getattr(child, field)
        if most and not 0 < asked <= most:
            found.append(field)
    if child.level.rank > parent.level.rank:
        found.append("level")
    return found


def exceeds(parent: Permissions, child: Permissions) -> str | None:
    """The first field in which the child may have more than its parent, or None."""
    found = excesses(parent, child)
    return found[0] if found else None
