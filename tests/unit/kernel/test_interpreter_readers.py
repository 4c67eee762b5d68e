"""Who must be able to read an interpreter's parts, at the start of a child and at each restart."""

from __future__ import annotations

import pytest

from clove.errors import PermissionDenied
from clove.kernel.calls.scripts import _check_readers
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.policy import parse

PART = "/srv/python/lib"
NARROW = parse(None, {"allowed_read_paths": ["/srv/data/**"]})


class Family:
    """An operator, its agent, and a child of that, which names an interpreter."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.operator = self.add(Kind.OPERATOR)
        self.agent = self.add(Kind.AGENT, self.operator)
        self.child = self.add(Kind.AGENT, self.agent)

    def add(self, kind: Kind, parent: Principal | None = None) -> Principal:
        above = (parent.agent_id, *parent.ancestors) if parent else ()
        allowed = parse(None, {"allowed_read_paths": ["/srv/**"]})
        made = Principal(self.registry.new_id(), kind, allowed, ancestors=above)
        self.registry.add(made)
        return made

    def check(self) -> None:
        _check_readers(self.registry, self.child, "python", PART)


def test_the_principal_that_names_it_must_be_able_to_read_it() -> None:
    family = Family()
    family.check()
    family.child.permissions = NARROW
    with pytest.raises(PermissionDenied):
        family.check()


def test_narrowing_an_ancestor_counts_when_the_parent_has_ended() -> None:
    family = Family()
    family.registry.remove(family.child)
    family.check()
    family.agent.permissions = NARROW
    with pytest.raises(PermissionDenied):
        family.check()


def test_the_operator_narrows_no_reader() -> None:
    family = Family()
    family.operator.permissions = NARROW
    family.check()
