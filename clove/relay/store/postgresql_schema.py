"""The tables in PostgreSQL, and how they became what they are. Blocking."""

from __future__ import annotations

from typing import Any, Final

from clove.errors import Unavailable

__all__ = ["LOCK", "SCHEMA", "migrate"]

LOCK: Final = 0x636C6F7665
"""The advisory lock of those that change the tables in more than single rows."""

_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE tokens (
            id TEXT COLLATE "C" PRIMARY KEY, digest BYTEA NOT NULL UNIQUE, kind TEXT NOT NULL,
            name TEXT NOT NULL, machine_id TEXT NOT NULL, targets TEXT NOT NULL,
            permissions TEXT NOT NULL, created DOUBLE PRECISION NOT NULL, expires DOUBLE PRECISION,
            last_used DOUBLE PRECISION, used DOUBLE PRECISION, revoked DOUBLE PRECISION
        )
        """,
        "CREATE INDEX tokens_of_machine ON tokens (machine_id)",
        """
        CREATE TABLE machines (
            machine_id TEXT COLLATE "C" PRIMARY KEY, name TEXT NOT NULL, provider TEXT NOT NULL,
            labels TEXT NOT NULL, metadata TEXT NOT NULL, address TEXT NOT NULL,
            versions TEXT NOT NULL, isolation TEXT NOT NULL, public_key BYTEA,
            created DOUBLE PRECISION NOT NULL, last_seen DOUBLE PRECISION,
            draining BOOLEAN NOT NULL, flags TEXT NOT NULL
        )
        """,
        "CREATE TABLE fleet (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    ),
    (
        """
        CREATE TABLE relays (
            relay TEXT COLLATE "C" PRIMARY KEY, url TEXT NOT NULL, public_key BYTEA NOT NULL,
            until DOUBLE PRECISION NOT NULL, draining BOOLEAN NOT NULL
        )
        """,
        """
        CREATE TABLE tunnels (
            machine_id TEXT COLLATE "C" NOT NULL,
            relay TEXT COLLATE "C" NOT NULL REFERENCES relays ON DELETE CASCADE,
            instance TEXT NOT NULL, version INTEGER NOT NULL, presence TEXT NOT NULL,
            since DOUBLE PRECISION NOT NULL, PRIMARY KEY (machine_id, relay)
        )
        """,
        "CREATE INDEX tunnels_of_relay ON tunnels (relay)",
    ),
    (
        """
        CREATE TABLE repeats (
            token_id TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, body BYTEA NOT NULL,
            claimant TEXT NOT NULL, answer BYTEA, doubtful BOOLEAN NOT NULL,
            at DOUBLE PRECISION NOT NULL, PRIMARY KEY (token_id, key)
        )
        """,
        "CREATE INDEX repeats_by_age ON repeats (at)",
        "CREATE INDEX repeats_of_token ON repeats (token_id, at)",
    ),
    (
        """
        CREATE TABLE denials (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, relay TEXT NOT NULL,
            number BIGINT NOT NULL, at DOUBLE PRECISION NOT NULL, last DOUBLE PRECISION NOT NULL,
            count BIGINT NOT NULL, caller TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
            token_id TEXT NOT NULL, machine_id TEXT NOT NULL, what TEXT NOT NULL, code TEXT NOT NULL,
            rule TEXT NOT NULL, error TEXT NOT NULL, UNIQUE (relay, number)
        )
        """,
        "CREATE INDEX denials_of_caller ON denials (caller, id)",
        "CREATE INDEX denials_of_strangers ON denials (id) WHERE token_id = ''",
    ),
    (
        "ALTER TABLE repeats ADD COLUMN machine_id TEXT COLLATE \"C\" NOT NULL DEFAULT ''",
        "ALTER TABLE repeats DROP CONSTRAINT repeats_pkey",
        "ALTER TABLE repeats ADD PRIMARY KEY (token_id, key, machine_id)",
        "DROP INDEX repeats_of_token",
        "CREATE INDEX repeats_of_token ON repeats (token_id, at) WHERE machine_id = ''",
        "CREATE INDEX repeats_on_machines ON repeats (token_id, at) WHERE machine_id <> ''",
    ),
)
"""Statements that lead from each version of the tables to the next. What was released stays as it is."""
SCHEMA: Final = len(_MIGRATIONS)
"""The version that this Clove makes."""


def migrate(connection: Any, relay_id: str) -> str:
    """Bring the tables to this version; gives the id of the fleet's relays, which kernels pin.

    @param relay_id: what it is from now on, if this is the first relay.
    @raise Unavailable: a newer Clove has made them.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute("CREATE TABLE IF NOT EXISTS clove_version (version INTEGER NOT NULL)")
        row = connection.execute("SELECT max(version) AS version FROM clove_version").fetchone()
        version = row["version"] or 0
        if version > len(_MIGRATIONS):
            raise Unavailable(
                f"the database has version {version} of the tables, "
                f"this Clove knows {len(_MIGRATIONS)}",
                hint="start the newer Clove that made them, or use another database",
            )
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < len(_MIGRATIONS):
            connection.execute("INSERT INTO clove_version VALUES (%s)", (len(_MIGRATIONS),))
        connection.execute(
            "INSERT INTO fleet VALUES ('relay_id', %s) ON CONFLICT DO NOTHING", (relay_id,)
        )
        row = connection.execute("SELECT value FROM fleet WHERE name = 'relay_id'").fetchone()
        return str(row["value"])
