"""Which relay has which machine's tunnel. Blocking; PostgreSQL alone, since one relay needs no table for it.

A relay's rows hold while its lease does, by the database's clock; the lease is one row's, whatever the
number of its tunnels.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from clove.relay.records import RelayRecord, Route, Targets, TunnelState
from clove.relay.store.database import Database, Row
from clove.relay.store.machine_table import targets_row

__all__ = ["Renewed", "RouteTable"]

_NOW: Final = "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"
_FORGET: Final = 20
"""Leases after which the rows of a relay that is gone are removed."""
_REGISTER: Final = f"""
    INSERT INTO relays VALUES (:relay, :url, :public_key, {_NOW} + :lease, :draining)
    ON CONFLICT (relay) DO UPDATE SET until = excluded.until, draining = excluded.draining
"""  # noqa: S608 a constant
_WRITE: Final = """
    INSERT INTO tunnels (machine_id, relay, instance, version, presence, since)
    SELECT machine_id, :relay, instance, version, presence, since
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(
        machine_id TEXT, instance TEXT, version INTEGER, presence TEXT, since DOUBLE PRECISION
    ) ORDER BY machine_id
    ON CONFLICT (machine_id, relay) DO UPDATE SET instance = excluded.instance,
        version = excluded.version, presence = excluded.presence, since = excluded.since
"""
_ELSEWHERE: Final = f"""
    SELECT * FROM tunnels JOIN relays USING (relay)
    WHERE relay <> :relay AND until > {_NOW}
"""  # noqa: S608 a constant


class Renewed(msgspec.Struct, frozen=True):
    """How a lease was found.

    @ivar known: the relay is in the table still; else it has to register again, and write all its tunnels.
    @ivar lapsed: its lease had ended: others may have taken its machines meanwhile.
    """

    known: bool
    lapsed: bool = False


class RouteTable:
    """What L{RouteCalls<clove.relay.store.route_calls.RouteCalls>} asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, relay: RelayRecord, lease: float) -> None:
        """A relay runs; those that do not any more are forgotten after a while."""
        with self._database.updates():
            self._database.rows(_REGISTER, {**msgspec.structs.asdict(relay), "lease": lease})
            self._database.rows(
                f"DELETE FROM relays WHERE until < {_NOW} - :old",  # noqa: S608 a constant
                {"old": lease * _FORGET},
            )

    def withdraw(self, relay: str) -> None:
        """It stops, and has no tunnels any more."""
        with self._database.updates():
            self._database.rows("DELETE FROM relays WHERE relay = :relay", {"relay": relay})

    def renew(
        self, relay: str, lease: float, changed: tuple[TunnelState, ...], gone: tuple[str, ...]
    ) -> Renewed:
        """It still runs, and what has changed of its tunnels: as many statements for one as for all."""
        with self._database.updates():
            found = self._database.rows(
                f"SELECT until < {_NOW} AS lapsed FROM relays WHERE relay = :relay FOR UPDATE",  # noqa: S608 a constant
                {"relay": relay},
            )
            if not found:
                return Renewed(False)
            self._database.rows(
                f"UPDATE relays SET until = {_NOW} + :lease WHERE relay = :relay",  # noqa: S608 a constant
                {"relay": relay, "lease": lease},
            )
            if changed:
                self._write(relay, changed)
            if gone:
                listed = self._database.dialect.listed("machine_id", "gone")
                self._database.rows(
                    f"DELETE FROM tunnels WHERE relay = :relay AND {listed}",  # noqa: S608 a constant
                    {"relay": relay, "gone": _json(gone)},
                )
            return Renewed(True, bool(found[0]["lapsed"]))

    def claim(self, relay: str, tunnel: TunnelState, beaten: tuple[str, ...]) -> list[Route]:
        """Note a machine's new tunnel, if no other instance of its kernel has one at another relay.

        One such is decided after the other, on whichever relay.

        @param beaten: relays on which an other instance has one that does not count any more.
        @return: those that stand against it; then nothing was noted.
        """
        with self._database.updates():
            self._database.rows(
                "SELECT machine_id FROM machines WHERE machine_id = :machine FOR UPDATE",
                {"machine": tunnel.machine_id},
            )
            others = [
                route
                for route in self.routes(relay, (tunnel.machine_id,))
                if not (
                    route.tunnel.version == tunnel.version == 2
                    and route.tunnel.instance == tunnel.instance
                )
            ]
            against = [
                each
                for each in others
                if tunnel.version == each.tunnel.version == 2 and each.relay.relay not in beaten
            ]
            if against:
                return against
            for each in others:
                self._take(each.relay.relay, tunnel.machine_id)
            self._write(relay, (tunnel,))
            return []

    def _take(self, relay: str, machine_id: str) -> None:
        self._database.rows(
            "DELETE FROM tunnels WHERE machine_id = :machine AND relay = :relay",
            {"machine": machine_id, "relay": relay},
        )
        self._database.changed("tunnel", f"{relay} {machine_id}")

    def _write(self, relay: str, tunnels: tuple[TunnelState, ...]) -> None:
        self._database.rows(_WRITE, {"relay": relay, "rows": _json(tunnels)})

    def routes(self, relay: str, machine_ids: tuple[str, ...]) -> list[Route]:
        """The tunnels of these machines at other relays than this one."""
        listed = self._database.dialect.listed("machine_id", "ids")
        rows = self._database.rows(
            f"{_ELSEWHERE} AND {listed}", {"relay": relay, "ids": _json(machine_ids)}
        )
        return [_route(row) for row in rows]

    def lost(self, relay: str) -> list[str]:
        """Machines of a relay's tunnels of which another instance has one at another relay."""
        rows = self._database.rows(
            "SELECT DISTINCT machine_id FROM tunnels AS mine JOIN tunnels AS theirs USING (machine_id)"  # noqa: S608 a constant
            " JOIN relays ON relays.relay = theirs.relay WHERE mine.relay = :relay"
            f" AND theirs.relay <> :relay AND until > {_NOW}"
            " AND (mine.version, mine.instance) <> (theirs.version, theirs.instance)",
            {"relay": relay},
        )
        return [row["machine_id"] for row in rows]

    def of_relay(self, relay: str) -> list[str]:
        """The machines of a relay's tunnels."""
        rows = self._database.rows(
            "SELECT machine_id FROM tunnels WHERE relay = :relay", {"relay": relay}
        )
        return [row["machine_id"] for row in rows]

    def relay(self, name: str) -> RelayRecord | None:
        """A relay that runs."""
        rows = self._database.rows(
            f"SELECT * FROM relays WHERE relay = :relay AND until > {_NOW}",  # noqa: S608 a constant
            {"relay": name},
        )
        return _relay(rows[0]) if rows else None

    def relays(self) -> list[RelayRecord]:
        """Those that run."""
        rows = self._database.rows(f"SELECT * FROM relays WHERE until > {_NOW} ORDER BY relay", {})  # noqa: S608 a constant
        return [_relay(row) for row in rows]

    def connected(self, targets: Targets) -> int:
        """How many of these machines are connected to some relay."""
        [row] = self._database.rows(
            "SELECT count(*) AS found FROM machines WHERE EXISTS ("  # noqa: S608 constants
            " SELECT 1 FROM tunnels JOIN relays USING (relay) WHERE"
            f" tunnels.machine_id = machines.machine_id AND until > {_NOW}"
            f" AND presence = 'connected') AND ({self._database.dialect.in_targets})",
            targets_row(targets),
        )
        return int(row["found"])


def _json(value: Collection[Any]) -> str:
    return msgspec.json.encode(value).decode()


def _relay(row: Row) -> RelayRecord:
    return RelayRecord(
        relay=row["relay"],
        url=row["url"],
        public_key=bytes(row["public_key"]),
        draining=row["draining"],
    )


def _route(row: Row) -> Route:
    tunnel = TunnelState(
        machine_id=row["machine_id"],
        instance=row["instance"],
        version=row["version"],
        presence=row["presence"],
        since=row["since"],
    )
    return Route(tunnel=tunnel, relay=_relay(row))
