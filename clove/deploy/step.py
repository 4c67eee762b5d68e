"""What a step of a deployment is, and what a target is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

__all__ = [
    "Event",
    "Facts",
    "KeepsReleases",
    "Planned",
    "Progress",
    "Report",
    "Step",
    "Target",
    "Upgradable",
]

Facts = Mapping[str, Any]
"""A JSON object that grows from step to step (an address, a container's id, a version). Never a secret."""


class Planned(NamedTuple):
    """What a step would do.

    @ivar does: in words, with the names of what it makes.
    @ivar costs: in words and a currency, with the date of the price; "": nothing.
    """

    does: str
    costs: str = ""


class Event(NamedTuple):
    """Something that a run tells.

    @ivar step: its name.
    @ivar what: C{begin}, C{found} (it was there), C{note}, C{amount}, C{done}, C{failed}, C{undoing} or C{undone}.
    @ivar text: words for a person, of C{note} and C{failed}; what is copied, of C{amount}.
    @ivar seconds: since the step began.
    @ivar amount: bytes so far and of all (0: not known), of C{amount}.
    """

    step: str
    what: str
    text: str = ""
    seconds: float = 0.0
    amount: tuple[int, int] = (0, 0)


Report = Callable[[Event], None]


class Progress:
    """By which a step says how far it is."""

    def __init__(self, step: str, report: Report) -> None:
        self._step = step
        self._report = report

    def note(self, text: str) -> None:
        """Say something in a line of its own, for a person."""
        self._report(Event(self._step, "note", text))

    def amount(self, name: str, done: int, whole: int = 0) -> None:
        """So many bytes of something are done.

        @param whole: 0: not known.
        """
        self._report(Event(self._step, "amount", name, amount=(done, whole)))


class Step(Protocol):
    """A part of a deployment. Blocking; each method raises L{CloveError<clove.errors.CloveError>}.

    It names whatever it makes by the deployment's name, so that it is found again by that alone.
    """

    name: str

    def plan(self, facts: Facts) -> Planned:
        """What it would do. Asks nothing.

        @param facts: of earlier runs; often none.
        """

    def look(self, facts: Facts) -> Facts | None:
        """Ask the world. None: it is not there, or not all of it; else what is to be kept of it.

        @param facts: of the steps before, and what was kept of this one.
        """

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Make it, from whatever a killed run may have left of it; gives what is to be kept of it."""

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Take it away, however much of it there is; what is gone is gone.

        @param facts: of all steps.
        """


class Target(Protocol):
    """Where to deploy: a kind of machine, with its options."""

    @property
    def steps(self) -> Sequence[Step]:
        """In their order."""


class Upgradable(Target, Protocol):
    """A target whose machines can be taken to another version of Clove."""

    def installed(self, facts: Facts) -> str:
        """The version that is in use there."""

    def upgrade(self, facts: Facts, version: str, bundle: str, progress: Progress) -> str:
        """Put a version beside the one in use, change over, and start again; may be called again.

        @param version: "": that of the bundle, or of this command.
        @param bundle: path of a bundle; "": the target makes or finds one.
        @return: the version that is in use then.
        """

    def change_back(self, facts: Facts, version: str, progress: Progress) -> None:
        """Use a version again that was in use before, and start again.

        @raise NotFound: it is not there any more.
        """


@runtime_checkable
class KeepsReleases(Protocol):
    """A target whose machines keep each release that they had, until it is removed."""

    def remove_older(self, facts: Facts, before: str) -> None:
        """Remove what is older than the version in use and the one before it.

        @param before: what an upgrade can go back to.
        """
