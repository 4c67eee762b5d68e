"""The table of requests that bear an idempotency key. Blocking."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clove.errors import InvalidRequest
from clove.relay.records import Repeat, RepeatKey
from clove.relay.store.database import Database
from clove.relay.store.interface import StoreLimits

__all__ = ["RepeatTable"]

_KEY: Final = "token_id = :token_id AND key = :key AND machine_id = :machine_id"


class RepeatTable:
    """What L{IStore<clove.relay.store.interface.IStore>} says of repeated requests."""

    def __init__(self, database: Database, limits: StoreLimits) -> None:
        self._database = database
        self._limits = limits

    def claim(self, named: RepeatKey, body: bytes, claimant: str, now: float) -> Repeat:
        """Who does a request; one such is decided after the other."""
        row = {**_row(named), "body": body, "claimant": claimant, "at": now}
        with self._database.updates():
            made = self._database.rows(
                "INSERT INTO repeats (token_id, key, machine_id, body, claimant, answer, doubtful, at)"
                " VALUES (:token_id, :key, :machine_id, :body, :claimant, NULL, FALSE, :at)"
                " ON CONFLICT DO NOTHING RETURNING key",
                row,
            )
            if made:
                self._forget(named, now)
                return Repeat(ours=True)
            lives = self._database.dialect.claimant_lives
            [found] = self._database.rows(
                f"SELECT body, answer, doubtful, {lives} AS lives FROM repeats"  # noqa: S608 a constant
                f" WHERE {_KEY}{self._database.dialect.locking}",
                {**_row(named), "claimant": claimant},
            )
            if bytes(found["body"]) != body:
                raise InvalidRequest(
                    "this Idempotency-Key was used for another request", hint="choose a new one"
                )
            if found["answer"] is not None:
                return Repeat(answer=bytes(found["answer"]))
            if found["lives"] and not found["doubtful"]:
                return Repeat()
            self._database.rows(
                f"UPDATE repeats SET claimant = :claimant, doubtful = FALSE, at = :at WHERE {_KEY}",  # noqa: S608 a constant
                {**_row(named), "claimant": claimant, "at": now},
            )
            return Repeat(ours=True, doubtful=True)

    def _forget(self, named: RepeatKey, now: float) -> None:
        """Those that are old, and those of a token beyond what it may have: a request with all that is known of it,
        or what is left would be done twice by one who asks again.
        """
        limits = self._limits
        self._database.rows(
            "DELETE FROM repeats WHERE at < :old", {"old": now - limits.kept_repeats}
        )
        which, most = "machine_id = ''", limits.repeats
        if named.machine_id:
            which, most = "machine_id <> ''", limits.repeat_machines
        mine = f"token_id = :token_id AND {which}"
        self._database.rows(
            "DELETE FROM repeats WHERE token_id = :token_id AND key <> :key AND key IN ("  # noqa: S608 constants
            f" SELECT key FROM repeats WHERE {mine} AND at <= ("
            f" SELECT at FROM repeats WHERE {mine} ORDER BY at DESC LIMIT 1 OFFSET :most))",
            {"token_id": named.token_id, "key": named.key, "most": most},
        )

    def finish(self, named: RepeatKey, claimant: str, answer: bytes) -> None:
        """It was done; if another relay does not do it by now."""
        self._change("SET answer = :answer", named, claimant, answer=answer)

    def doubt(self, named: RepeatKey, claimant: str) -> None:
        """Whether it was done is not known: the next one has to look."""
        self._change("SET doubtful = TRUE", named, claimant)

    def _change(self, what: str, named: RepeatKey, claimant: str, **given: Any) -> None:
        with self._database.updates():
            self._database.rows(
                f"UPDATE repeats {what} WHERE {_KEY} AND claimant = :claimant",
                {**_row(named), "claimant": claimant, **given},
            )

    def drop(self, named: RepeatKey, claimant: str) -> None:
        """It was surely not done."""
        with self._database.updates():
            self._database.rows(
                f"DELETE FROM repeats WHERE {_KEY} AND claimant = :claimant",  # noqa: S608 a constant
                {**_row(named), "claimant": claimant},
            )


def _row(named: RepeatKey) -> dict[str, str]:
    return msgspec.structs.asdict(named)
