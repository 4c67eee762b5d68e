"""A fleet in numbers, and what an operator should look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clove._version import __version__
from clove.cli.fleet.fleet_summary import MOST_ASKED, summary_of
from clove.cli.fleet.version_distance import too_far_apart
from clove.errors import CloveError, PermissionDenied, Unavailable

SINCE = "2026-01-02T03:04:05.678Z"


class Fleet:
    """What a relay answers about these machines."""

    def __init__(self, *machines: dict[str, Any], agents: dict[str, int | CloveError]) -> None:
        self._machines = machines
        self._agents = agents

    def machines(self) -> Iterator[dict[str, Any]]:
        return iter(self._machines)

    def machine_agents(self, machine: str) -> Iterator[dict[str, Any]]:
        found = self._agents[machine]
        if isinstance(found, CloveError):
            raise found
        return iter([{"id": number} for number in range(found)])


def machine(name: str, presence: str = "connected", **fields: Any) -> dict[str, Any]:
    usual = {"draining": False, "flags": [], "versions": {"clove": __version__}}
    return {"machine_id": name, "presence": presence, "presence_since": SINCE, **usual, **fields}


def summary(*machines: dict[str, Any], **agents: int | CloveError) -> Any:
    return summary_of(Fleet(*machines, agents=agents), __version__)  # type: ignore[arg-type] # what is asked


def test_machines_are_counted_by_presence_and_version() -> None:
    found = summary(
        machine("a", draining=True),
        machine("b", versions={"clove": "0.0.9"}),
        machine("c", "disconnected", versions={}),
        a=2,
        b=3,
    )
    assert found.presence == {"connected": 2, "stale": 0, "disconnected": 1, "draining": 1}
    assert dict(found.versions) == {__version__: 1, "0.0.9": 1}
    assert found.running == 5
    assert list(found.warnings) == []


def test_what_to_look_at_is_said_with_the_machine() -> None:
    found = summary(
        machine("a", flags=[{"what": "copied_key", "at": SINCE}]),
        machine("b", "stale"),
        machine("c", versions={"clove": "7.0.0"}),
        machine("d", versions={"clove": "\x1bnonsense"}),
        a=0,
        c=0,
        d=0,
    )
    assert found.warnings == [
        ("a", "copied_key at 2026-01-02 03:04:05"),
        ("b", "does not answer since 2026-01-02 03:04:05"),
        ("c", f"7.0.0 is too far from the relay's {__version__}: clove deploy upgrade"),
    ]
    assert found.fields()["warnings"][0] == {
        "machine_id": "a",
        "warning": "copied_key at 2026-01-02 03:04:05",
    }


def test_a_machine_that_goes_meanwhile_has_no_agents() -> None:
    assert summary(machine("a"), machine("b"), a=2, b=Unavailable("gone")).running == 2


def test_agents_are_not_counted_on_many_machines_or_without_permission() -> None:
    assert summary(*(machine(str(number)) for number in range(MOST_ASKED + 1))).running is None
    assert summary(machine("a"), a=PermissionDenied("no")).running is None


def test_a_relay_of_another_time_is_told() -> None:
    found = summary_of(Fleet(agents={}), "9.0.0")  # type: ignore[arg-type] # what is asked
    assert found.warnings == [("relay", f"9.0.0 is too far from this command's {__version__}")]


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [
        ("0.1.0", "0.1.9", False),
        ("0.1.0", "0.2.0", False),
        ("0.2.0", "0.1.0", False),
        ("0.1.0", "0.3.0", True),
        ("1.0.0", "0.9.0", True),
        ("0.10.0", "0.9.0.dev1", False),
        ("0.1.0", "", False),
        ("0.1.0", "v2", False),
        ("0.1.0", f"{'9' * 5000}.1", False),
    ],
)
def test_versions_one_minor_apart_work_together(one: str, other: str, far: bool) -> None:
    assert too_far_apart(one, other) is far
    assert too_far_apart(other, one) is far
