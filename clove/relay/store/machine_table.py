"""The table of machines. Blocking."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from clove.errors import AlreadyExists, LimitExceeded, NotAuthenticated, NotFound
from clove.relay.absent import no_machine
from clove.relay.records import Flag, MachineRecord, Targets, TokenKind, TokenRecord
from clove.relay.store.database import Database
from clove.relay.store.interface import MachineChanges, Seen, StoreLimits
from clove.relay.store.rows import MACHINE_COLUMNS, machine_of, machine_row, placeholders
from clove.relay.store.token_table import TokenTable

__all__ = ["MachineTable", "targets_row"]

_LABELS: Final = msgspec.json.Decoder(dict[str, str])
_COLUMNS: Final = ", ".join(MACHINE_COLUMNS)
_JOINING: Final = (TokenKind.JOIN, TokenKind.MACHINE)
_WRITTEN: Final = ", ".join(f"{name} = excluded.{name}" for name in MACHINE_COLUMNS[1:])
_WRITE: Final = (
    f"INSERT INTO machines ({_COLUMNS}) VALUES ({placeholders(MACHINE_COLUMNS)})"  # noqa: S608 names of our columns
    f" ON CONFLICT (machine_id) DO UPDATE SET {_WRITTEN}"
)
_SEEN: Final = (
    "UPDATE machines SET last_seen = :at, address = coalesce(:address, address),"
    " versions = coalesce(:versions, versions), isolation = coalesce(:isolation, isolation)"
    " WHERE machine_id = :machine_id"
)


class MachineTable:
    """What L{IStore<clove.relay.store.interface.IStore>} says of machines."""

    def __init__(self, database: Database, limits: StoreLimits, tokens: TokenTable) -> None:
        self._database = database
        self._limits = limits
        self._tokens = tokens

    def add(self, record: MachineRecord, token: TokenRecord | None) -> None:
        """A new machine, and its token."""
        with self._database.transaction():
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
        return self._get(machine_id, "")

    def keys_of(self, machine_ids: tuple[str, ...]) -> dict[str, bytes | None]:
        """The keys of those that there are."""
        wanted = self._database.dialect.listed("machine_id", "ids")
        rows = self._database.rows(
            f"SELECT machine_id, public_key FROM machines WHERE {wanted}",  # noqa: S608 a constant
            {"ids": _json(machine_ids)},
        )
        return {row["machine_id"]: row["public_key"] for row in rows}

    def labels_of(self, machine_ids: tuple[str, ...]) -> dict[str, dict[str, str]]:
        """The labels of those that there are."""
        wanted = self._database.dialect.listed("machine_id", "ids")
        rows = self._database.rows(
            f"SELECT machine_id, labels FROM machines WHERE {wanted}",  # noqa: S608 a constant
            {"ids": _json(machine_ids)},
        )
        return {row["machine_id"]: _LABELS.decode(row["labels"]) for row in rows}

    def after(self, machine_id: str, most: int, targets: Targets) -> list[MachineRecord]:
        """The next ones by id."""
        chosen = self._database.dialect.in_targets
        rows = self._database.rows(
            f"SELECT * FROM machines WHERE machine_id > :after AND ({chosen})"  # noqa: S608 a constant
            " ORDER BY machine_id LIMIT :most",
            {"after": machine_id, "most": most, **targets_row(targets)},
        )
        return [machine_of(row) for row in rows]

    def count(self, targets: Targets, ids: tuple[str, ...]) -> tuple[int, int]:
        """All of these, and those of these ids."""
        dialect = self._database.dialect
        named = dialect.listed("machine_id", "ids")
        [row] = self._database.rows(
            f"SELECT count(*) AS every, count(CASE WHEN {named} THEN 1 END) AS named"  # noqa: S608 a constant
            f" FROM machines WHERE {dialect.in_targets}",
            {"ids": msgspec.json.encode(ids).decode(), **targets_row(targets)},
        )
        return row["every"], row["named"]

    def change(self, machine_id: str, changes: MachineChanges) -> MachineRecord:
        """What is not None."""
        given = {
            name: value
            for name, value in msgspec.structs.asdict(changes).items()
            if value is not None
        }
        with self._database.transaction():
            changed = msgspec.structs.replace(self._existing(machine_id), **given)
            self._write(changed)
            if changes.labels is not None:
                self._database.changed("labels", machine_id)
            return changed

    def remove(self, machine_id: str, now: float) -> list[str]:
        """The machine, its key, and the validity of its tokens."""
        with self._database.transaction():
            self._existing(machine_id)
            self._database.rows(
                "DELETE FROM machines WHERE machine_id = :machine", {"machine": machine_id}
            )
            self._database.changed("machine", machine_id)
            return self._tokens.revoke_of_machine(machine_id, now)

    def join(self, machine_id: str, public_key: bytes, token_id: str, now: float) -> MachineRecord:
        """A machine's key, for a token."""
        with self._database.transaction():
            try:
                token = self._tokens.get(token_id)
            except NotFound:
                raise _not_valid() from None
            machine = self._locked(machine_id)
            if token.kind not in _JOINING or token.machine_id != machine_id:
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
            if (
                token.kind is TokenKind.JOIN
            ):  # one of a machine is for its tunnels of version 1 as well
                self._tokens.use_up(token_id, now)
            return joined

    def note_seen(self, seen: Mapping[str, Seen]) -> None:
        """What tunnels told, in one transaction: after a restart of the relay all come at once."""
        with self._database.updates():
            self._database.each(_SEEN, [_told(*each) for each in sorted(seen.items())])

    def note_flag(self, machine_id: str, flag: Flag) -> None:
        """Something to look at."""
        with self._database.transaction():
            machine = self._locked(machine_id)
            if machine is not None:
                others = tuple(other for other in machine.flags if other.what != flag.what)
                self._write(msgspec.structs.replace(machine, flags=(*others, flag)))

    def _locked(self, machine_id: str) -> MachineRecord | None:
        """In a transaction that may change it."""
        return self._get(machine_id, self._database.dialect.locking)

    def _get(self, machine_id: str, locking: str) -> MachineRecord | None:
        rows = self._database.rows(
            f"SELECT * FROM machines WHERE machine_id = :machine{locking}",  # noqa: S608 a constant
            {"machine": machine_id},
        )
        return machine_of(rows[0]) if rows else None

    def _existing(self, machine_id: str) -> MachineRecord:
        machine = self._locked(machine_id)
        if machine is None:
            raise no_machine()
        return machine

    def _check_room(self) -> None:
        [row] = self._database.rows("SELECT count(*) AS found FROM machines", {})
        count = row["found"]
        if count >= self._limits.machines:
            raise LimitExceeded(
                f"there are {count} machines already",
                hint="remove those that are gone, or raise limits.store.machines",
            )

    def _write(self, record: MachineRecord) -> None:
        self._database.rows(_WRITE, machine_row(record))


def _not_valid() -> NotAuthenticated:
    return NotAuthenticated("the join token is not valid", hint="ask for a new one")


def _told(machine_id: str, seen: Seen) -> dict[str, Any]:
    """The parameters of L{_SEEN}; None: left as it is."""
    return {
        "machine_id": machine_id,
        "at": seen.at,
        "address": seen.address,
        "versions": _json(seen.versions),
        "isolation": _json(seen.isolation),
    }


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def targets_row(targets: Targets) -> dict[str, object]:
    """The parameters of L{Dialect.in_targets<clove.relay.store.database.Dialect>}."""
    return {
        "every": targets.every,
        "machines": _json(targets.machines),
        "labels": _json(targets.labels),
        "labelled": bool(targets.labels),
    }
