"""Who descends from whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["descendants"]


def descendants(root: int, parents: Mapping[int, int]) -> frozenset[int]:
    """The agent itself and all whose chain of parents leads to it.

    @param parents: agent id to the id of who spawned it.
    """
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    found = {root}
    todo: list[Iterable[int]] = [children.get(root, ())]
    while todo:
        for child in todo.pop():
            if child not in found:
                found.add(child)
                todo.append(children.get(child, ()))
    return frozenset(found)
