"""The table of targets, and how one is made from what a journal has of it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from clove.errors import InvalidRequest
from clove.spelling import near

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clove.deploy.relay import Relay
    from clove.deploy.step import Target

__all__ = ["KINDS", "Kind", "Place", "find_kind", "make_target"]

KINDS: Final = {
    "ssh": "clove.deploy.targets.ssh",
    "docker": "clove.deploy.targets.docker",
    "kubernetes": "clove.deploy.targets.kubernetes",
    "aws": "clove.deploy.targets.aws",
    "gcp": "clove.deploy.targets.gcp",
}
"""Each module is a L{Kind}."""


class Place(NamedTuple):
    """What every target gets.

    @ivar name: the deployment's.
    @ivar directory: where the target may keep files; there when a step is done or undone.
    @ivar relay: where the machines go.
    @ivar labels: that the machines get.
    """

    name: str
    directory: Path
    relay: Relay
    labels: Mapping[str, str]


class Kind(Protocol):
    """A module of C{clove.deploy.targets}."""

    CHANGEABLE: tuple[str, ...]
    """Options that may change from one run to the next; others are refused."""

    def machines(self, name: str, options: Mapping[str, Any]) -> list[str]:
        """The ids of the machines of a deployment."""

    def make(self, place: Place, options: Mapping[str, Any]) -> Target:
        """The target.

        @param options: JSON, as the journal has them.
        @raise CloveError: they make no sense.
        """


def find_kind(kind: str) -> Kind:
    """The module of a kind.

    @raise InvalidRequest: there is none.
    """
    try:
        return cast("Kind", importlib.import_module(KINDS[kind]))
    except KeyError:
        raise InvalidRequest(f"no target {kind!r}", hint=near(kind, tuple(KINDS))) from None


def make_target(kind: str, place: Place, options: Mapping[str, Any]) -> Target:
    """A target, of options that a journal has.

    @raise InvalidRequest: there is no such kind, or the options are not those of one.
    @raise CloveError: they make no sense.
    """
    found = find_kind(kind)
    try:
        return found.make(place, options)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(
            f"the journal of {place.name} does not have the options of {kind} ({error})",
            hint=f"use the version of Clove that wrote it; it is in {place.directory}",
        ) from None
