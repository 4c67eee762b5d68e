"""What is open to machines because a token reaches them, and ends when it does not any more.

A token that names labels reaches a machine for as long as that has them, and none reaches a machine that
was removed. So whatever a token has opened to a machine is noted here, and judged again when the
machine's labels have changed, at this relay or at another.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from twisted.logger import Logger

from clove.relay.records import Identity, TokenKind

__all__ = ["Reach"]

_LABELS: Final = "its token does not reach the machine any more"
_REMOVED: Final = "the machine was removed"
_NARROWED: Final = "its token was changed: come again"
_MOST_NARROWED: Final = 1024
"""Tokens that were narrowed last, of which something may be opened yet by a bearer who was identified before."""


class _Opened(NamedTuple):
    """One thing that is open; `cut` ends it, and is told why."""

    identity: Identity
    cut: Callable[[str], object]


class Reach:
    """Ends what is open to a machine that its token does not reach any more."""

    log = Logger()

    def __init__(self) -> None:
        self._opened: dict[str, dict[object, _Opened]] = {}
        self._readers: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()
        self._narrowed: OrderedDict[str, Identity] = OrderedDict()

    def watch(
        self, identity: Identity, machine_id: str, cut: Callable[[str], object]
    ) -> Callable[[], None]:
        """Have something ended when the token does not reach the machine any more.

        Its bearer may have been identified before it was narrowed: then C{cut} is called at once.

        @return: stop watching; to be called when it has ended by itself. Idempotent.
        """
        if _scope(self._narrowed.get(identity.token_id, identity)) != _scope(identity):
            cut(_NARROWED)
            return lambda: None
        key = object()
        self._opened.setdefault(machine_id, {})[key] = _Opened(identity, cut)
        return lambda: self._forget(machine_id, key)

    def _forget(self, machine_id: str, key: object) -> None:
        opened = self._opened.get(machine_id, {})
        opened.pop(key, None)
        if not opened:
            self._opened.pop(machine_id, None)

    def watched(self) -> list[str]:
        """Machines to which something is open."""
        return list(self._opened)

    def changed(self, machine_id: str, labels: Mapping[str, str] | None) -> None:
        """A machine has these labels now.

        @param labels: None: it was removed.
        """
        self.note(machine_id)
        for key, opened in list(self._opened.get(machine_id, {}).items()):
            if labels is not None and opened.identity.targets.include(machine_id, labels):
                continue
            self._end(machine_id, key, opened, _REMOVED if labels is None else _LABELS)

    def _end(self, machine_id: str, key: object, opened: _Opened, why: str) -> None:
        self._forget(machine_id, key)
        try:
            opened.cut(why)
        except Exception:
            self.log.failure("what a token opened to a machine could not be ended")

    def narrowed(self, identity: Identity) -> list[str]:
        """A token has this scope now. With other permissions all that it has opened ends: kernels have been
        told the earlier ones.

        @return: the machines to which it has something open: L{changed} has to be called for each.
        """
        self._narrowed[identity.token_id] = identity
        self._narrowed.move_to_end(identity.token_id)
        while len(self._narrowed) > _MOST_NARROWED:
            self._narrowed.popitem(last=False)
        names: list[str] = []
        for machine_id, each in list(self._opened.items()):
            for key, opened in list(each.items()):
                if opened.identity.token_id != identity.token_id:
                    continue
                if opened.identity.permissions != identity.permissions:
                    self._end(machine_id, key, opened, _NARROWED)
                    continue
                each[key] = opened._replace(identity=identity)
                if machine_id not in names[-1:]:
                    names.append(machine_id)
        return names

    def agent_tokens(self) -> list[str]:
        """Of those by which something is open, the ids of those whose scope can change."""
        return list(
            {
                opened.identity.token_id
                for each in self._opened.values()
                for opened in each.values()
                if opened.identity.kind is TokenKind.AGENT
            }
        )

    def note(self, machine_id: str) -> None:
        """A machine has changed: what is being read of it may be out of date."""
        if self._readers[machine_id]:
            self._changes[machine_id] += 1

    def begin(self, machine_id: str) -> int:
        """The machine is being read; L{end} says whether it has changed meanwhile."""
        self._readers[machine_id] += 1
        return self._changes[machine_id]

    def end(self, machine_id: str, begun: int) -> bool:
        """Whether what was read since L{begin} may be out of date."""
        stale = self._changes[machine_id] != begun
        self._readers[machine_id] -= 1
        if not self._readers[machine_id]:
            del self._readers[machine_id]
            self._changes.pop(machine_id, None)
        return stale


def _scope(identity: Identity) -> tuple[object, object]:
    return identity.targets, identity.permissions
