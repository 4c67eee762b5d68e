"""Ids and names of all live principals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING

from clove.errors import AlreadyExists, InvalidRequest, LimitExceeded, NotFound
from clove.kernel.authority import may_take_name
from clove.kernel.ids import LOCAL_IDS, REMOTE_IDS
from clove.kernel.principal import Kind

if TYPE_CHECKING:
    from clove.kernel.principal import Principal

__all__ = ["NAME_LIMIT", "Registry", "check_name"]

NAME_LIMIT = 128
"""Characters in a name."""

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.@:+ -]*[A-Za-z0-9_.@:+-])?", re.ASCII)


def check_name(name: str) -> str:
    """The name itself, if it may name an agent.

    @raise InvalidRequest: empty, too long, or with characters that would be
        trouble in a path, a terminal or a log (`/`, NUL, control characters).
    """
    if len(name) > NAME_LIMIT:
        raise InvalidRequest(f"a name has at most {NAME_LIMIT} characters, this one {len(name)}")
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidRequest(
            "a name begins with a letter, digit or _, goes on with these, space or . @ : + -, "
            "and does not end with a space",
            hint="choose a name such as researcher-1",
        )
    return name


class Registry:
    """Live principals by id and by name.

    @ivar new_id: gives an id that was never given before; raises a L{CloveError} if there is none.
    """

    def __init__(self, new_id: Callable[[], int] | None = None) -> None:
        """@param new_id: None: from 1 on."""
        self.new_id = count(1).__next__ if new_id is None else new_id
        self._by_id: dict[int, Principal] = {}
        self._by_name: dict[str, Principal] = {}
        self._given: dict[int, str] = {}  # the names that agents were spawned under

    def add(self, principal: Principal) -> None:
        """Take in a live principal; its name, if any, must be free.

        @raise AlreadyExists: the name is in use.
        @raise LimitExceeded: the id is none of those that its kind has.
        """
        if principal.agent_id not in (REMOTE_IDS if principal.is_remote else LOCAL_IDS):
            raise LimitExceeded(
                f"there is no id left: {principal.agent_id} is not this kernel's to give"
            )
        if principal.name:
            first = principal.is_agent and principal.family == principal.agent_id
            self._claim(principal, principal.name, operator=first or principal.is_operator)
            if principal.kind is Kind.AGENT:
                self._given[principal.agent_id] = principal.name
        self._by_id[principal.agent_id] = principal

    def rename(self, principal: Principal, name: str) -> None:
        """Register a name; the old one becomes free.

        But the one that an agent was spawned under stays its own: KILL, LOGS and
        the log file go by it.

        @raise AlreadyExists: another live agent bears it.
        @raise InvalidRequest: see L{check_name}.
        """
        self._claim(principal, check_name(name), operator=principal.is_operator)
        if principal.name not in ("", name, self._given.get(principal.agent_id)):
            del self._by_name[principal.name]
        principal.name = name

    def rename_agent(self, principal: Principal, name: str, *, operator: bool) -> None:
        """Give a live agent the name that it goes by; all that it had before become free.

        @param operator: an operator chose the name.
        @raise AlreadyExists: another bears it.
        @raise InvalidRequest: see L{check_name}.
        """
        self._claim(principal, check_name(name), operator=operator)
        for old in {principal.name, self._given.get(principal.agent_id, "")} - {name}:
            if self._by_name.get(old) is principal:
                del self._by_name[old]
        principal.name = self._given[principal.agent_id] = name

    def remove(self, principal: Principal) -> None:
        """Forget a principal and free its names."""
        self._by_id.pop(principal.agent_id, None)
        for name in (principal.name, self._given.pop(principal.agent_id, "")):
            if self._by_name.get(name) is principal:
                del self._by_name[name]

    def get(self, agent_id: int) -> Principal | None:
        """The live principal with this id."""
        return self._by_id.get(agent_id)

    def family_of(self, agent_id: int) -> int | None:
        """The family of a live principal; None: there is none with this id."""
        found = self._by_id.get(agent_id)
        return None if found is None else found.family

    def ids(self) -> list[int]:
        """Those of all live principals, the oldest first."""
        return list(self._by_id)

    def named(self, name: str) -> Principal | None:
        """The live principal with this name."""
        return self._by_name.get(name)

    def find(self, *, agent_id: int | None = None, name: str | None = None) -> Principal:
        """By id, else by name.

        @raise NotFound: no live principal has it.
        """
        found = self.get(agent_id) if agent_id is not None else self.named(name or "")
        if found is None:
            wanted = f"id {agent_id}" if agent_id is not None else f"name {name!r}"
            raise NotFound(f"no live agent with {wanted}", hint="LIST shows the agents")
        return found

    def __iter__(self) -> Iterator[Principal]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def _claim(self, principal: Principal, name: str, *, operator: bool) -> None:
        """@param operator: an operator chose the name."""
        holder = self._by_name.get(name)
        if (
            holder is not None
            and holder.connections == 0
            and holder.kind is not Kind.AGENT
            and may_take_name(principal.family, holder.family, operator=operator)
        ):
            holder.name = ""  # its connection is gone; it only waits to be resumed
            holder = None
        if holder is not None and holder is not principal:
            raise AlreadyExists(f"the name {name!r} is in use by agent {holder.agent_id}")
        self._by_name[name] = principal
