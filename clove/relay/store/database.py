"""What the tables ask of a database: the same statements serve SQLite and PostgreSQL.

They are written in what both know: parameters as C{:name}, C{coalesce}, C{ON CONFLICT}, C{RETURNING}.
What they say differently is in L{Dialect}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

__all__ = ["Database", "Dialect", "Parameters", "Row"]

Parameters = Mapping[str, Any]
Row = Mapping[str, Any]


class Dialect(NamedTuple):
    """Conditions that each database says in its own way.

    @ivar in_list: whether C{{column}} is in the JSON array C{{name}}.
    @ivar has_labels: whether a machine has the labels in the parameter C{labels}, a JSON object.
    @ivar claimant_lives: whether the relay that a row names as C{claimant} still runs, if that is another than
        the parameter C{claimant}.
    @ivar locking: at the end of a SELECT: nothing else changes these rows before the transaction ends.
    """

    in_list: str
    has_labels: str
    claimant_lives: str
    locking: str

    def listed(self, column: str, parameter: str) -> str:
        """Whether a column is one of a parameter's, a JSON array."""
        return self.in_list.format(column=column, parameter=parameter)

    @property
    def in_targets(self) -> str:
        """What L{Targets.include<clove.relay.records.Targets.include>} says, of a row of machines.

        Parameters: C{every}, C{machines} and C{labels} (JSON), C{labelled}: whether there are labels.
        """
        named = self.listed("machine_id", "machines")
        return f":every OR {named} OR (:labelled AND {self.has_labels})"


class Database(Protocol):
    """One connection. Blocking; for one thread at a time."""

    dialect: Dialect

    def rows(self, statement: str, parameters: Parameters) -> list[Row]:
        """What a statement finds or returns; for one that changes something in a transaction."""

    def each(self, statement: str, parameters: Iterable[Parameters]) -> None:
        """The same statement for many; within a transaction."""

    def transaction(self) -> AbstractContextManager[None]:
        """All of what is done within, or nothing.

        No other transaction changes the tables meanwhile, but those of L{updates}.
        """

    def updates(self) -> AbstractContextManager[None]:
        """The same for single statements that depend on nothing read before: it waits for no others."""

    def changed(self, what: str, named: str) -> None:
        """Have other relays told at the end of the transaction.

        @param what: "token": it is not valid any more; "scope": a token has another one; "machine": it was removed; "labels": a machine's
            have changed; "tunnel": another kernel has taken its place.
        @param named: its id; of a tunnel, its relay's name and its machine's id.
        """
