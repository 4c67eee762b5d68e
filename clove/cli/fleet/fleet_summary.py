"""A fleet in numbers, asked together: presence, versions, agents, and what an operator should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from clove._version import __version__
from clove.cli.fleet.version_distance import too_far_apart
from clove.cli.text import short_time
from clove.errors import CloveError, PermissionDenied

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["Summary", "summary_of"]

MOST_ASKED: Final = 64
"""Machines that are asked for their agents; of more the agents are not counted."""
TOGETHER: Final = 8
"""Of these are asked at the same time."""


class Summary(NamedTuple):
    """What is said of a fleet.

    @ivar presence: how many machines are connected, stale, disconnected or draining.
    @ivar versions: how many machines have which version of Clove.
    @ivar running: agents; None: they were not counted.
    @ivar warnings: of which machine, and what.
    """

    presence: Mapping[str, int]
    versions: Mapping[str, int]
    running: int | None
    warnings: Sequence[tuple[str, str]]

    def fields(self) -> dict[str, Any]:
        """For programs."""
        warnings = [{"machine_id": machine, "warning": text} for machine, text in self.warnings]
        return {**self._asdict(), "warnings": warnings}


def summary_of(fleet: FleetClient, relay_version: str) -> Summary:
    """Look at all machines that the token may see.

    @raise CloveError: the relay does not answer.
    """
    presence = dict.fromkeys(("connected", "stale", "disconnected", "draining"), 0)
    versions: Counter[str] = Counter()
    connected: list[str] = []
    warnings: list[tuple[str, str]] = []
    if too_far_apart(__version__, relay_version):
        text = f"{relay_version} is too far from this command's {__version__}"
        warnings.append(("relay", text))
    for machine in fleet.machines():
        presence[machine["presence"]] += 1
        presence["draining"] += machine["draining"]
        if machine["presence"] == "connected":
            connected.append(machine["machine_id"])
        if version := machine["versions"].get("clove"):
            versions[version] += 1
        warnings += _warnings(machine, relay_version)
    running = _running(fleet, connected)
    return Summary(presence, dict(sorted(versions.items(), reverse=True)), running, warnings)


def _warnings(machine: dict[str, Any], relay_version: str) -> Iterable[tuple[str, str]]:
    name = machine["machine_id"]
    for flag in machine["flags"]:
        yield name, f"{flag['what']} at {short_time(flag['at'])}"
    if machine["presence"] == "stale":
        yield name, f"does not answer since {short_time(machine['presence_since'] or '')}"
    version = machine["versions"].get("clove", "")
    if too_far_apart(version, relay_version):
        yield name, f"{version} is too far from the relay's {relay_version}: clove deploy upgrade"


def _running(fleet: FleetClient, machines: Sequence[str]) -> int | None:
    """Agents on these machines; one that does not say how many has none."""
    from concurrent.futures import ThreadPoolExecutor

    if len(machines) > MOST_ASKED:
        return None

    def count(machine: str) -> int | None:
        try:
            return sum(1 for _ in fleet.machine_agents(machine))
        except PermissionDenied:
            return None
        except CloveError:  # it has gone meanwhile
            return 0

    with ThreadPoolExecutor(TOGETHER) as pool:
        counts = list(pool.map(count, machines))
    return None if None in counts else sum(each or 0 for each in counts)
