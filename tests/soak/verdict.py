"""What a soak has seen, held against what it must be. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BEHIND_ECHO", "OPERATOR_SECONDS", "RSS_MIB", "Seen", "checks", "logged_failures"]

BEHIND_ECHO = 3.0
"""A NOOP's 99th percentile is at most this many times that of the C echo server."""
OPERATOR_SECONDS = 2.0
"""Seconds in which an operator's SPAWN or KILL answers."""
RSS_MIB = 2500
"""MiB that the kernel's own process may hold at any time: four times what docs/shares.md lets one
family make it hold (a family has a quarter of each total), and the program."""
_ENTRY = re.compile(r"^(?=\d{4}-\d\d-\d\dT)", re.MULTILINE)
"""Before each entry of the kernel's log; the lines of a traceback belong to the one before them."""
_FAILURES = ("Traceback", "Unhandled", "[critical]", "#critical")
ENDED_WELL = (0, -15)
"""Exit codes: Twisted ends itself by the signal that stopped it, once all is done."""


@dataclass
class Seen:
    """@ivar spawns, kills: seconds that the operator's took.
    @ivar errors: of the operator's requests.
    @ivar latency, family: what the two healthy programs printed; {} when they did not.
    @ivar preferred: the kernel has a larger part of the processors than each session of agents.
    @ivar rss: MiB of the kernel's process, as sampled.
    @ivar stopped: seconds from SIGTERM to the end; None: it had to be killed.
    @ivar exit_code: the kernel's.
    @ivar left: what is still there afterwards, in words.
    @ivar counts: outcomes of each attack, all hostile agents together.
    @ivar untried: attacks that never ended in any way.
    @ivar faults: failures that the kernel logged, each with its traceback.
    """

    spawns: list[float] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    latency: dict[str, Any] = field(default_factory=dict)
    family: dict[str, Any] = field(default_factory=dict)
    preferred: bool = True
    rss: list[int] = field(default_factory=list)
    stopped: float | None = None
    exit_code: int | None = None
    left: list[str] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    untried: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def checks(seen: Seen, drain: float, slack: float = 1.0) -> list[tuple[str, bool | None, str]]:
    """Each bar: its name, whether it holds (None: it could not be measured), and the figures.

    @param drain: seconds that the kernel may take to stop.
    @param slack: how many times longer round trips, SPAWN and KILL may take than the bars say.
    """
    return [
        _round_trips(seen, slack * BEHIND_ECHO),
        _no_errors("the healthy client has no error", seen.latency),
        _no_errors("the healthy family has no error", seen.family),
        ("the operator has no error", not seen.errors, "; ".join(seen.errors[:5])),
        _in_time("SPAWN of the operator", seen.spawns, slack * OPERATOR_SECONDS),
        _in_time("KILL of the operator", seen.kills, slack * OPERATOR_SECONDS),
        _memory(seen.rss),
        (
            f"SIGTERM stops the kernel within {drain:g} s",
            seen.stopped is not None and seen.stopped <= drain and seen.exit_code in ENDED_WELL,
            "it had to be killed"
            if seen.stopped is None
            else f"{seen.stopped:.1f} s, exit code {seen.exit_code}",
        ),
        ("nothing is left behind", not seen.left, "; ".join(seen.left[:5])),
        ("the kernel logs no failure", not seen.faults, "\n".join(seen.faults[:3])),
        ("every attack was tried", not seen.untried, ", ".join(seen.untried)),
    ]


def logged_failures(log: str) -> list[str]:
    """Entries of the kernel's log that tell a failure, each whole."""
    entries = (entry.rstrip() for entry in _ENTRY.split(log))
    return [entry for entry in entries if any(mark in entry for mark in _FAILURES)]


def _round_trips(seen: Seen, behind: float) -> tuple[str, bool | None, str]:
    latency = seen.latency
    name = f"p99 of a NOOP is within {behind:g} times that of the echo server"
    if not latency:
        return name, False, "the healthy client did not come to its end"
    own = latency["kernel"]
    if "echo" not in latency:
        return name, None, f"no C compiler, no echo server; {own['p99']:.0f} us"
    echo = latency["echo"]
    ratio = own["p99"] / echo["p99"]
    words = [f"{key} {own[key]:.0f} us, echo {echo[key]:.0f} us" for key in ("p50", "p99", "max")]
    told = f"{ratio:.2f} times; {'; '.join(words)}; {own['count']} trips"
    if ratio > behind and not seen.preferred:
        return name, None, f"{told}; here each session of agents weighs as much as the kernel's"
    return name, ratio <= behind, told


def _no_errors(name: str, printed: dict[str, Any]) -> tuple[str, bool | None, str]:
    if not printed:
        return name, False, "it did not come to its end"
    told = (
        f"{printed['work']['count']} rounds, p50 {printed['work']['p50'] / 1e3:.0f} ms, "
        if "work" in printed
        else ""
    )
    return (
        name,
        not printed["failed"],
        told + f"{printed['failed']} errors: {printed['errors'][:3]}",
    )


def _in_time(name: str, took: list[float], most: float) -> tuple[str, bool | None, str]:
    if not took:
        return f"{name} answers", False, "none did"
    slow = sum(seconds > most for seconds in took)
    words = f"{len(took)}, longest {max(took):.2f} s, {slow} too slow"
    return f"{name} answers within {most:g} s", not slow, words


def _memory(rss: list[int]) -> tuple[str, bool | None, str]:
    words = f"{rss[0]} at first, {max(rss)} at most, {rss[-1]} at last" if rss else "not seen"
    return f"the kernel holds at most {RSS_MIB} MiB", bool(rss) and max(rss) <= RSS_MIB, words
