"""What a token may become without being another one: less than it is. Pure."""

from __future__ import annotations

import functools
from itertools import product
from typing import Any, Final

import msgspec

from clove.errors import InvalidRequest
from clove.policy import FLAGS, Level, Permissions, for_level
from clove.policy.delegation import excesses, within_cap
from clove.policy.work import MAX_STEPS, Work
from clove.relay.records import Targets, TokenKind, TokenRecord

__all__ = ["Narrowing", "narrowed"]

_HOMES: Final = ("/a kernel's home", "/of a kernel/the home")
"""In the place of `~`, which each kernel takes for a home of its own. They differ in their depth: what one pattern
without `~` covers of both is no accident of where a home is."""
_STEPS: Final = 50 * MAX_STEPS
"""Of all comparisons together; the store's thread makes them."""
_HINT = "make another token with what it needs, and revoke this one"


@functools.cache
def _caps() -> tuple[Permissions, ...]:
    """What kernels may allow remote callers, in whose place each has its own: of every level all calls, once with the
    level's lists and once with lists that have nothing in common with a token's.
    """
    calls = dict.fromkeys(FLAGS, True)
    whole = [msgspec.structs.replace(for_level(level), **calls) for level in Level]
    own = {
        "allowed_read_paths": ("/of a kernel/**",),
        "allowed_write_paths": ("/of a kernel/**",),
        "allowed_commands": ("of-a-kernel",),
        "allowed_domains": ("of-a-kernel.invalid",),
    }
    return (*whole, *(msgspec.structs.replace(each, **own) for each in whole))


class Narrowing(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked; None: as it is.

    @ivar expires: seconds since the epoch.
    @ivar permissions: fields that replace those of the same name.
    """

    name: str | None = None
    expires: float | None = None
    machines: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    permissions: dict[str, Any] | None = None


def narrowed(record: TokenRecord, asked: Narrowing, now: float) -> TokenRecord:
    """The token as it is from now on.

    @param now: seconds since the epoch.
    @raise InvalidRequest: it would reach, or be allowed, more than now; or it is not valid.
    @raise LimitExceeded: there is too much to compare.
    """
    if not record.is_valid(now):
        raise InvalidRequest("this token is not valid any more", hint="make a new one")
    scoped = (asked.machines, asked.labels, asked.permissions) != (None, None, None)
    if scoped and record.kind is not TokenKind.AGENT:
        raise InvalidRequest(
            f"a token of kind {record.kind.value} has no machines and permissions to narrow",
            hint="make a token of kind agent in its place, and revoke this one",
        )
    return msgspec.structs.replace(
        record,
        name=record.name if asked.name is None else asked.name,
        expires=_expires(record.expires, asked.expires, now),
        targets=_targets(record.targets, asked),
        permissions=_permissions(record.permissions, asked.permissions),
    )


def _expires(before: float | None, asked: float | None, now: float) -> float | None:
    if asked is None:
        return before
    if before is not None and asked > before:
        raise InvalidRequest(
            f"the token expires in {(before - now) / 3600:.1f} hours, and cannot live longer",
            hint="clove tokens rotate makes another one of the same scope",
        )
    return asked


def _targets(before: Targets, asked: Narrowing) -> Targets:
    if asked.machines is None and asked.labels is None:
        return before
    machines = before.machines if asked.machines is None else asked.machines
    labels = before.labels if asked.labels is None else asked.labels
    added = [each for each in machines if each not in before.machines]
    if added:
        raise InvalidRequest(f"the token does not name the machine {added[0]!r}", hint=_HINT)
    if labels and not (before.labels and before.labels.items() <= labels.items()):
        raise InvalidRequest(
            "with these labels the token would reach other machines",
            hint="name all labels that it has, and more; or none: then it reaches the machines that it names",
        )
    if not machines and not labels:
        raise InvalidRequest(
            "the token would reach nothing", hint="revoke it: clove tokens revoke ID"
        )
    return Targets(machines=machines, labels=labels)


def _permissions(before: dict[str, Any], asked: dict[str, Any] | None) -> dict[str, Any]:
    if asked is None:
        return before
    merged = {**before, **asked}  # a field that is left out would be as the kernel has it
    more: dict[str, None] = {}
    work = Work("permissions of a token held against what it has", _STEPS)
    for home, cap in product(_HOMES, _caps()):
        had, would_have = (within_cap(cap, each, home, work) for each in (before, merged))
        more.update(dict.fromkeys(excesses(had, would_have, work)))
    if more:
        raise InvalidRequest(
            f"the token would be allowed more than now: {', '.join(more)}", hint=_HINT
        )
    return merged
