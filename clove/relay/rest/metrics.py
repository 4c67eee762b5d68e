"""Numbers of a relay as Prometheus reads them (text version 0.0.4). Pure.

No label has a name that a client chose: series of numbers do not grow with what is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from clove.messages.metrics import ReactorTurns

__all__ = ["CONTENT_TYPE", "RequestCounts", "exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class RequestCounts:
    """Requests that were answered, by route and status.

    @ivar starts_waiting: agents whose start was asked for, and that their kernel has not answered yet.
    """

    def __init__(self) -> None:
        self.starts_waiting = 0
        self._counts: Counter[tuple[str, int]] = Counter()
        self._seconds = 0.0

    def add(self, route: str, status: int, seconds: float) -> None:
        """One more.

        @param route: its path in the table; "" for what is in no table.
        """
        self._counts[route, status] += 1
        self._seconds += seconds

    def samples(self) -> Iterable[tuple[str, float]]:
        """Labels and values."""
        for (route, status), count in sorted(self._counts.items()):
            yield f'{{route="{route}",status="{status}"}}', count

    @property
    def seconds(self) -> float:
        """That all of them took together."""
        return self._seconds


def exposition(
    requests: RequestCounts,
    tunnels: Mapping[str, int],
    callers: int,
    uptime: float,
    turns: ReactorTurns,
) -> bytes:
    """The whole text.

    @param tunnels: how many there are of each presence.
    @param turns: of the reactor that were too long.
    """
    shown = ((f'{{presence="{name}"}}', tunnels.get(name, 0)) for name in ("connected", "stale"))
    families = [
        _family("clove_relay_uptime_seconds", "gauge", "Since it started.", [("", uptime)]),
        _family("clove_relay_tunnels", "gauge", "Tunnels of machines.", shown),
        _family("clove_relay_remote_agents", "gauge", "Remote agents.", [("", callers)]),
        _family(
            "clove_relay_agents_waiting",
            "gauge",
            "Agents that were asked for over REST and have not started yet.",
            [("", requests.starts_waiting)],
        ),
        _family(
            "clove_relay_requests_total", "counter", "REST requests answered.", requests.samples()
        ),
        _family(
            "clove_relay_request_seconds_total",
            "counter",
            "That REST requests took.",
            [("", requests.seconds)],
        ),
        _family("clove_relay_busy_turns_total", "counter", "Too busy.", [("", turns.busy)]),
        _family("clove_relay_held_up_turns_total", "counter", "Held up.", [("", turns.held_up)]),
    ]
    return "".join(families).encode()


def _family(name: str, kind: str, about: str, samples: Iterable[tuple[str, float]]) -> str:
    lines = [f"# HELP {name} {about}\n# TYPE {name} {kind}\n"]
    lines += [f"{name}{labels} {value}\n" for labels, value in samples]
    return "".join(lines)
