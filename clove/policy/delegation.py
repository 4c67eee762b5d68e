"""What can be handed on: a child never gets more than its parent has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from clove.errors import LimitExceeded
from clove.policy.command_rules import commands_within
from clove.policy.domains import domains_within
from clove.policy.parsing import check_lists, parse
from clove.policy.paths import within
from clove.policy.permissions import FLAGS, Permissions
from clove.policy.work import Work

__all__ = ["exceeds", "excesses", "held", "narrow", "shut", "within_cap"]

QUOTAS: Final = ("max_llm_tokens", "max_llm_calls", "max_exec_time_ms")
BLOCKED: Final = ("blocked_paths", "blocked_commands")

Inside = Callable[[tuple[str, ...], tuple[str, ...], Work], tuple[str, ...]]
"""Takes rules and a list; gives those of the rules that surely grant no more than the list.
To most an empty list grants everything; to domains, every public host."""


def _same(rules: tuple[str, ...], others: tuple[str, ...], work: Work) -> tuple[str, ...]:
    return tuple(rule for rule in rules if rule in others) if others else rules


ALLOWED: Final[dict[str, tuple[str, Inside]]] = {
    "allowed_read_paths": ("can_read", within),
    "allowed_write_paths": ("can_write", within),
    "allowed_commands": ("can_exec", commands_within),
    "allowed_domains": ("can_http", domains_within),
    "allowed_http_methods": ("can_http", _same),
}
"""Of each allowed list: the switch that turns it off, and what is inside what."""


def _intersection(
    field: str, mine: tuple[str, ...], theirs: tuple[str, ...], work: Work
) -> tuple[str, ...]:
    """Rules that both lists grant; empty lists (which grant all) are the caller's to see."""
    inside = ALLOWED[field][1]
    kept = inside(theirs, mine, work)
    known = frozenset(kept)
    return kept + tuple(rule for rule in inside(mine, theirs, work) if rule not in known)


def _work() -> Work:
    return Work("permissions held against others")


def narrow(parent: Permissions, requested: Permissions, work: Work | None = None) -> Permissions:
    """What of the requested permissions a holder of the parent's may hand on.

    Switches: both must have it. Allowed lists: rules that surely lie within the
    other list; where two lists have nothing in common, the switch goes off, for
    an empty list would allow everything. Blocked lists: both together. Quotas:
    the smaller.

    @param work: what bounds this, if more than this belongs to it.
    @raise LimitExceeded: the blocked lists together are too long, or there is too much
        to compare.
    """
    work = work or _work()
    fields: dict[str, Any] = {
        flag: getattr(parent, flag) and getattr(requested, flag) for flag in FLAGS
    }
    for field, (flag, inside) in ALLOWED.items():
        mine, theirs = getattr(parent, field), getattr(requested, field)
        if mine and theirs:
            fields[field] = _intersection(field, mine, theirs, work)
        else:
            fields[field] = mine or inside(theirs, mine, work)
        if (mine or theirs) and not fields[field]:
            fields[flag] = False
            fields[field] = mine
    for field in BLOCKED:
        fields[field] = tuple(dict.fromkeys(getattr(parent, field) + getattr(requested, field)))
    fields.update(_quotas(parent, requested))
    level = min(parent.level, requested.level, key=lambda one: one.rank)
    narrowed = msgspec.structs.replace(requested, level=level, **fields)
    for field in (*ALLOWED, *BLOCKED):
        rules = getattr(narrowed, field)
        if rules not in (getattr(parent, field), getattr(requested, field)):
            work.compile(rules)
    check_lists(narrowed, joined=True)
    return narrowed


def within_cap(
    cap: Permissions,
    fields: Mapping[str, Any],
    home: str | None = None,
    work: Work | None = None,
) -> Permissions:
    """The permissions that a remote caller has, whose token has these fields.

    @param cap: what remote callers may have; where no level is named, also what counts for other fields.
    @param home: as L{parse} has it.
    @raise CloveError: they are no permissions, or cannot be held against the cap.
    """
    return narrow(cap, parse(None, fields, cap, home), work) if fields else cap


def excesses(parent: Permissions, child: Permissions, work: Work | None = None) -> list[str]:
    """The fields in which the child may have more than the parent, most telling first.

    @param work: as for L{narrow}.
    @raise LimitExceeded: there is too much to compare.
    """
    work = work or _work()
    found = [flag for flag in FLAGS if getattr(child, flag) and not getattr(parent, flag)]
    for field, (flag, inside) in ALLOWED.items():
        if not getattr(child, flag):
            continue
        mine, theirs = getattr(parent, field), getattr(child, field)
        if (mine and not theirs) or len(inside(theirs, mine, work)) < len(theirs):
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


def held(parent: Permissions, child: Permissions, work: Work) -> Permissions:
    """The child's permissions, narrowed if they are more than the parent's; never an error.

    What cannot be compared or joined is shut, so that no descendant can keep what an
    ancestor loses by having rules that are hard to compare.
    """
    if work.is_over and child != parent:
        return shut(parent, child)
    try:
        return narrow(parent, child, work) if excesses(parent, child, work) else child
    except LimitExceeded:
        return shut(parent, child)


def shut(parent: Permissions, child: Permissions) -> Permissions:
    """Surely no more than either has, found without comparing lists of rules.

    For a child with lists that cannot be compared with its parent's, or joined with
    them: what lists govern is switched off.
    """
    governed = {flag for flag, _ in ALLOWED.values()}
    switches = {
        flag: flag not in governed and getattr(parent, flag) and getattr(child, flag)
        for flag in FLAGS
    }
    lists = {field: getattr(parent, field) for field in (*ALLOWED, *BLOCKED)}
    level = min(parent.level, child.level, key=lambda one: one.rank)
    return msgspec.structs.replace(
        child, level=level, **switches, **lists, **_quotas(parent, child)
    )


def _quotas(parent: Permissions, child: Permissions) -> dict[str, int]:
    """The smaller of each; 0 is no limit."""
    both = {field: (getattr(parent, field), getattr(child, field)) for field in QUOTAS}
    return {field: min(filter(None, values), default=0) for field, values in both.items()}


def exceeds(parent: Permissions, child: Permissions) -> str | None:
    """The first field in which the child may have more than its parent, or None."""
    found = excesses(parent, child)
    return found[0] if found else None
