"""Permissions from a request: a level, a dict in the wire's form, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from clove.errors import InvalidRequest, LimitExceeded
from clove.policy.command_rules import rules_of
from clove.policy.domains import METHODS, rules_of_domains
from clove.policy.fields import MAX_LIST, LlmQuotaFields, PermissionFields
from clove.policy.globs import expand_home, kernel_home
from clove.policy.levels import Level
from clove.policy.paths import allowed_set, blocked_set
from clove.policy.permissions import Permissions, for_level
from clove.spelling import near, shown

__all__ = ["LISTS", "MAX_LIST", "MAX_TEXT", "check_lists", "parse", "requested_fields"]

MAX_TEXT: Final = 8192
"""Characters of one list of rules altogether; more are a LimitExceeded."""
JOINED: Final = 2
"""Times as many may be in a blocked list that is an agent's with its spawner's."""
MAX_IDN: Final = 1024
"""Characters of domain rules that are not ASCII and have to be mapped; more are a LimitExceeded."""

LISTS: Final = (
    "allowed_read_paths",
    "allowed_write_paths",
    "blocked_paths",
    "allowed_commands",
    "blocked_commands",
    "allowed_domains",
    "allowed_http_methods",
)


def _known(mapping: Mapping[str, Any], kind: type[msgspec.Struct], what: str) -> dict[str, Any]:
    """The fields that are there and not null; a right is never dropped or guessed.

    @raise InvalidRequest: there is an unknown one.
    """
    fields = {name: value for name, value in mapping.items() if value is not None}
    for name in fields:
        if name not in kind.__struct_fields__:
            raise InvalidRequest(
                f"{what} has no field `{shown(str(name))}`",
                hint=near(str(name), kind.__struct_fields__),
            )
    return fields


def _convert(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the request sets, by the names of L{Permissions}."""
    fields = _known(mapping, PermissionFields, "permissions")
    if isinstance(fields.get("llm_quota"), Mapping):
        fields["llm_quota"] = _known(fields["llm_quota"], LlmQuotaFields, "llm_quota")
    try:
        requested = msgspec.convert(fields, PermissionFields)
    except (msgspec.ValidationError, TypeError) as error:
        raise InvalidRequest(
            f"bad permissions: {error}", hint="docs/wire.md lists the fields of permissions"
        ) from None
    fields = {
        name: _rules(name, value) if isinstance(value, list) else value
        for name, value in msgspec.structs.asdict(requested).items()
        if value is not msgspec.UNSET
    }
    paths = fields.pop("allowed_paths", None)
    if paths is not None:
        fields.setdefault("allowed_read_paths", paths)
        fields.setdefault("allowed_write_paths", paths)
    quota = fields.pop("llm_quota", None)
    if quota is not None:
        fields.setdefault("max_llm_tokens", quota.max_tokens)
        fields.setdefault("max_llm_calls", quota.max_calls)
    return fields


def _rules(name: str, rules: list[str]) -> tuple[str, ...]:
    """A list as it came, each rule once.

    @raise LimitExceeded: it is far too long to be looked at.
    """
    if len(rules) > 8 * MAX_LIST:
        raise _too_long(name)
    return tuple(dict.fromkeys(rules))


def _too_long(name: str, times: int = 1) -> LimitExceeded:
    return LimitExceeded(
        f"{name} has more than {MAX_LIST * times} rules or {MAX_TEXT * times} characters",
        hint="use patterns that cover more",
    )


def requested_fields(mapping: Mapping[str, Any] | None) -> frozenset[str]:
    """The fields of L{Permissions} that a request sets by itself.

    @raise InvalidRequest: unknown keys or wrong types.
    """
    return frozenset(_convert(mapping or {}))


def parse(
    level: Level | str | None = None,
    mapping: Mapping[str, Any] | None = None,
    base: Permissions | None = None,
    home: str | None = None,
) -> Permissions:
    """The permissions that a request asks for, before any are granted.

    Where a level is given (beside the mapping or in it), its defaults are the
    start, else the base. Fields of the mapping replace those of the start, but
    the blocked lists of the level always stay, and an empty allowed list means
    all that the level allows.

    @param base: what counts where the request names no level; standard if None.
    @param home: what `~` in an allowed path is; None for the kernel's own home.
    @raise InvalidRequest: unknown keys, wrong types, rules that make no sense.
    @raise LimitExceeded: a list is too long.
    """
    fields = _convert(mapping or {})
    own = fields.pop("level", None)
    named = own if level is None else level
    start = base if named is None else for_level(named)
    if start is None:
        start = for_level(Level.STANDARD)
    defaults = for_level(start.level)
    for name in ("blocked_paths", "blocked_commands"):
        if name in fields:
            fields[name] = tuple(dict.fromkeys(fields[name] + getattr(defaults, name)))
    for name in ("allowed_read_paths", "allowed_write_paths"):
        if name in fields:
            fields[name] = tuple(
                expanded
                for pattern in fields[name] or getattr(defaults, name)
                for expanded in expand_home(pattern, [home or kernel_home()])
            )
    if "allowed_http_methods" in fields:
        fields["allowed_http_methods"] = _methods(fields["allowed_http_methods"])
    permissions = msgspec.structs.replace(start, **fields)
    check_lists(permissions)
    return permissions


def _methods(names: tuple[str, ...]) -> tuple[str, ...]:
    methods = tuple(name.upper() for name in names)
    for method in methods:
        if method not in METHODS:
            raise InvalidRequest(
                f"no such HTTP method: {method[:32]!r}", hint=f"one of {', '.join(METHODS)}"
            )
    return methods


def check_lists(permissions: Permissions, *, joined: bool = False) -> None:
    """Hold the lists to their bounds, so that no check gets slow, and compile them.

    What the level blocks of its own does not count: it was not asked for.

    @param joined: the blocked lists are joined of two principals', each of which may be full.
    @raise LimitExceeded: a list is too long, or has too many wildcards.
    @raise InvalidRequest: a rule makes no sense, so that it is an error now and not at a check.
    """
    for name in LISTS:
        rules: tuple[str, ...] = getattr(permissions, name)
        is_blocked = name in ("blocked_paths", "blocked_commands")
        times = JOINED if joined and is_blocked else 1
        if len(rules) > MAX_LIST * times and is_blocked:
            brought = frozenset(getattr(for_level(permissions.level), name))
            rules = tuple(rule for rule in rules if rule not in brought)
        if len(rules) > MAX_LIST * times or sum(map(len, rules)) > MAX_TEXT * times:
            raise _too_long(name, times)
    if sum(len(text) for text in permissions.allowed_domains if not text.isascii()) > MAX_IDN:
        raise LimitExceeded(
            f"allowed_domains has more than {MAX_IDN} characters of names that are not ASCII",
            hint="write them as DNS does, xn--...",
        )
    allowed_set(permissions.allowed_read_paths)
    allowed_set(permissions.allowed_write_paths)
    blocked_set(permissions.blocked_paths)
    rules_of(permissions.allowed_commands)
    rules_of(permissions.blocked_commands)
    rules_of_domains(permissions.allowed_domains)
