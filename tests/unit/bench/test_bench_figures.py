"""What the bench makes of its measurements."""

from __future__ import annotations

from dataclasses import replace

from bench.figures import Figure, Spread
from bench.leaks import SLACK_KB, Holdings, find_leaks

BEFORE = Holdings(
    descriptors=20,
    processes=3,
    mounts=60,
    network_namespaces=1,
    cgroups=0,
    files=9,
    rss_kb=60_000,
)


def test_the_99th_percentile_of_a_hundred_leaves_out_the_longest() -> None:
    spread = Spread.of([float(each) for each in range(100, 0, -1)])
    assert (spread.p50, spread.p99, spread.most) == (50.5, 99.0, 100.0)


def test_a_single_measurement_is_its_own_spread() -> None:
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_a_bar_is_kept_up_to_its_value_and_missed_beyond() -> None:
    assert Figure("start", 0.2, bar=0.2).holds is True
    assert Figure("start", 0.21, bar=0.2).holds is False


def test_without_a_bar_or_a_value_there_is_no_verdict() -> None:
    assert Figure("start", 5.0).holds is None
    assert Figure("start", None, bar=0.2).holds is None


def test_what_there_is_more_of_is_named() -> None:
    after = replace(BEFORE, descriptors=22, network_namespaces=4)
    assert find_leaks(BEFORE, BEFORE, after) == [
        "descriptors: 20 before, 22 after",
        "network namespaces: 1 before, 4 after",
    ]


def test_less_than_before_is_no_leak() -> None:
    assert find_leaks(BEFORE, BEFORE, replace(BEFORE, mounts=50, files=8)) == []


def test_memory_leaks_when_it_still_grows_in_the_second_half() -> None:
    middle = replace(BEFORE, rss_kb=90_000)
    assert find_leaks(BEFORE, middle, replace(middle, rss_kb=90_000 + SLACK_KB)) == []
    assert find_leaks(BEFORE, middle, replace(middle, rss_kb=90_001 + SLACK_KB)) == [
        f"memory: {SLACK_KB + 1} kB more in the second half"
    ]
