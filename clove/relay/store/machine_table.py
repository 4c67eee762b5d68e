"""The table of machines in SQLite. Blocking."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from clove.errors import AlreadyExists, LimitExceeded, NotAuthenticated, NotFound
from clove.relay.records import Flag, MachineRecord, Targets, TokenKind, TokenRecord
from clove.relay.store.connection import transaction
from clove.relay.store.interface import MachineChanges, Seen, StoreLimits
from clove.relay.store.rows import MACHINE_COLUMNS, machine_of, machine_row, placeholders
from clove.relay.store.token_table import TokenTable

__all__ = ["MachineTable"]

_COLUMNS: Final = ", ".join(MACHINE_COLUMNS)
_INSERT: Final = (
    f"INSERT OR REPLACE INTO machines ({_COLUMNS}) VALUES ({placeholders(MACHINE_COLUMNS)})"  # noqa: S608 names of our columns
)
_IN_TARGETS: Final = """
    :every OR machine_id IN (SELECT value FROM json_each(:machines)) OR (
        :labels != '{}' AND NOT EXISTS (
            SELECT 1 FROM json_each(:labels) AS wanted WHERE NOT EXISTS (
                SELECT 1 FROM json_each(machines.labels) AS has
                WHERE has.key = wanted.key AND has.value = wanted.value
            )
        )
    )
"""
"""What L{Targets.include} says, in SQL."""


class MachineTable:
    """What L{IStore<clove.relay.store.interface.IStore>} says of machines."""

    def __init__(
        self, connection: sqlite3.Connection, limits: StoreLimits, tokens: TokenTable
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._tokens = tokens

    def add(self, record: MachineRecord, token: TokenRecord | None) -> None:
        """A new machine, and its token."""
        with transaction(self._connection):
            if self.get(record.machine_id) is not None:
                raise AlreadyExists(
                    f"there is a machine {record.machine_id} already",
                    hint="choose another machine_id, or make a token for it (/api/v1/tokens)",
                )
            self._check_room()
            self._write(record)
            if token is not None:
                self._tokens.insert(token)

    def get(self, machine_id: str) -> MachineRecord | None:
        """One machine."""
        found = self._connection.execute(
            "SELECT * FROM machines WHERE machine_id = ?", (machine_id,)
        )
        row = found.fetchone()
        return None if row is None else machine_of(row)

    def after(self, machine_id: str, most: int, targets: Targets) -> list[MachineRecord]:
        """The next ones by id."""
        rows = self._connection.execute(
            f"SELECT * FROM machines WHERE machine_id > :after AND ({_IN_TARGETS})"  # noqa: S608 a constant
            " ORDER BY machine_id LIMIT :most",
            {"after": machine_id, "most": most, **_chosen(targets)},
        )
        return [machine_of(row) for row in rows]

    def count(self, targets: Targets, ids: tuple[str, ...]) -> tuple[int, int]:
        """All of these, and those of these ids."""
        found = self._connection.execute(
            "SELECT count(*), ifnull(sum(machine_id IN (SELECT value FROM json_each(:ids))), 0)"  # noqa: S608 a constant
            f" FROM machines WHERE {_IN_TARGETS}",
            {"ids": msgspec.json.encode(ids).decode(), **_chosen(targets)},
        )
        every, named = found.fetchone()
        return every, named

    def change(self, machine_id: str, changes: MachineChanges) -> MachineRecord:
        """What is not None."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(changes).items()
            if value is not None
        }
        with transaction(self._connection):
            changed = msgspec.structs.replace(self._existing(machine_id), **given)
            self._write(changed)
            return changed

    def remove(self, machine_id: str, now: float) -> list[str]:
        """The machine, its key, and the validity of its tokens."""
        with transaction(self._connection) as connection:
            self._existing(machine_id)
            connection.execute("DELETE FROM machines WHERE machine_id = ?", (machine_id,))
            return self._tokens.revoke_of_machine(machine_id, now)

    def join(self, machine_id: str, public_key: bytes, token_id: str, now: float) -> MachineRecord:
        """A machine's key, for a token."""
        with transaction(self._connection):
            try:
                token = self._tokens.get(token_id)
            except NotFound:
                raise _not_valid() from None
            machine = self.get(machine_id)
            if token.kind is not TokenKind.JOIN or token.machine_id != machine_id:
                raise _not_valid()
            if machine is not None and machine.public_key is not None:
                same = hmac.compare_digest(machine.public_key, public_key)
                if same and token.revoked is None:
                    return machine
                raise AlreadyExists(
                    f"machine {machine_id} has joined with another key",
                    hint="remove it from the registry first, if this machine takes its place",
                )
            if not token.is_valid(now):
                raise _not_valid()
            if machine is None:
                self._check_room()
                machine = MachineRecord(machine_id=machine_id, created=now)
            joined = msgspec.structs.replace(machine, public_key=public_key)
            self._write(joined)
            self._tokens.use_up(token_id, now)
            return joined

    def note_seen(self, seen: Mapping[str, Seen]) -> None:
        """What tunnels told, in one transaction: after a restart of the relay all come at once."""
        with transaction(self._connection):
            for machine_id, each in seen.items():
                machine = self.get(machine_id)
                if machine is not None:
                    self._write(msgspec.structs.replace(machine, last_seen=each.at, **_told(each)))

    def note_flag(self, machine_id: str, flag: Flag) -> None:
        """Something to look at."""
        with transaction(self._connection):
            machine = self.get(machine_id)
            if machine is not None:
                others = tuple(other for other in machine.flags if other.what != flag.what)
                self._write(msgspec.structs.replace(machine, flags=(*others, flag)))

    def _existing(self, machine_id: str) -> MachineRecord:
        machine = self.get(machine_id)
        if machine is None:
            raise NotFound("there is no such machine", hint="list them with GET /api/v1/machines")
        return machine

    def _check_room(self) -> None:
        [count] = self._connection.execute("SELECT count(*) FROM machines").fetchone()
        if count >= self._limits.machines:
            raise LimitExceeded(
                f"there are {count} machines already",
                hint="remove those that are gone, or raise limits.store.machines",
            )

    def _write(self, record: MachineRecord) -> None:
        self._connection.execute(_INSERT, machine_row(record))


def _not_valid() -> NotAuthenticated:
    return NotAuthenticated("the join token is not valid", hint="ask for a new one")


def _told(seen: Seen) -> dict[str, Any]:
    """What is not left as it is."""
    fields = msgspec.structs.asdict(seen)
    return {name: value for name, value in fields.items() if value is not None and name != "at"}


def _chosen(targets: Targets) -> dict[str, object]:
    """The parameters of L{_IN_TARGETS}."""
    return {
        "every": targets.every,
        "machines": msgspec.json.encode(targets.machines).decode(),
        "labels": msgspec.json.encode(targets.labels).decode(),
    }
