"""What init does with names in directories for the kernel, with the agent's own rights."""

from __future__ import annotations

from clove.sandbox.inside.entry import Entry, enter, facts_of, facts_within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["EntryRequests"]

TARGET = 4095
"""Characters of a link's target that are told (PATH_MAX without its NUL)."""


class EntryRequests:
    """Answers requests about what init holds.

    @param held: by handle: L{Held} and L{Entry}.
    @param cwd: where relative paths start.
    """

    OPERATIONS = frozenset(("enter", "facts", "mkdir", "rename", "remove"))

    def __init__(self, held: dict[int, Any], cwd: str) -> None:
        self._held = held
        self._cwd = cwd

    def perform(self, op: str, job: int, message: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the answer.

        @raise OSError, BadPath: it is refused.
        """
        if op == "enter":
            entry = self._held[job] = enter(message["path"], self._cwd)
            return {"path": entry.path}
        held = self._held[message["handle"]]
        if op == "facts":
            if "names" in message:
                return {"facts": facts_within(held, message["names"])}
            target = held.target()[:TARGET] if isinstance(held, Entry) else ""
            return {"facts": [facts_of(held)], "target": target}
        if op == "mkdir":
            held.make_directory(message["mode"])
        elif op == "rename":
            held.rename(self._held[message["to"]], replace=message["replace"])
        else:
            removed, gone = held.remove(message["most"], recursive=message["recursive"])
            return {"removed": removed, "gone": gone}
        return {}
