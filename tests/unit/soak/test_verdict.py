"""What `make soak` says of what it has seen."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.soak.hostile import TABLE
from tests.soak.program import PARTS, PLACE, hostile_program
from tests.soak.verdict import OPERATOR_SECONDS, RSS_MIB, Seen, checks, logged_failures

DRAIN = 10.0
LOG = """\
2026-11-30T18:42:14+0000 [-] ConnectionFactory starting on '/run/1.sock'
2026-11-30T18:42:15+0000 [twisted.internet.base#critical] while handling timed call
\tTraceback (most recent call last):
\t  File "some.py", line 7, in some
\t    raise KeyError(1)
\tbuiltins.KeyError: 1
\t
2026-11-30T18:42:16+0000 [twisted.internet.base#info] Main loop terminated.
"""


def fine(**changes: Any) -> Seen:
    trips = {"count": 1000, "p50": 100.0, "p99": 200.0, "max": 300.0}
    latency = {"kernel": trips, "echo": {**trips, "p99": 100.0}, "errors": [], "failed": 0}
    seen: dict[str, Any] = {"spawns": [0.1], "kills": [0.1], "latency": latency, "rss": [60, 70]}
    seen["family"] = {"work": trips, "errors": [], "failed": 0}
    return Seen(**{**seen, "stopped": 1.0, "exit_code": 0, **changes})


def failing(seen: Seen) -> list[str]:
    return [name for name, holds, _ in checks(seen, DRAIN) if holds is False]


def test_a_soak_in_which_all_went_well_passes() -> None:
    assert failing(fine()) == []


def test_a_slow_kernel_fails_and_one_that_nothing_is_compared_to_is_skipped() -> None:
    slow = fine()
    slow.latency["echo"]["p99"] = 60.0
    assert failing(slow) == ["p99 of a NOOP is within 3 times that of the echo server"]
    slow.preferred = False  # an ordinary user's kernel, where sessions share the processors
    assert failing(slow) == []
    alone = fine()
    del alone.latency["echo"]
    assert failing(alone) == []
    assert [holds for _, holds, _ in checks(alone, DRAIN)].count(None) == 1
    assert failing(fine(preferred=False)) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"latency": {}}, "healthy client"),
        ({"family": {}}, "healthy family"),
        ({"errors": ["refused"]}, "operator has no error"),
        ({"spawns": [OPERATOR_SECONDS + 0.1]}, "SPAWN"),
        ({"kills": []}, "KILL"),
        ({"rss": [60, RSS_MIB + 1, 70]}, "MiB"),
        ({"stopped": DRAIN + 1}, "SIGTERM"),
        ({"stopped": None, "exit_code": -9}, "SIGTERM"),
        ({"left": ["process 7"]}, "left behind"),
        ({"faults": ["Traceback"]}, "logs no failure"),
        ({"untried": ["a_crash"]}, "every attack"),
    ],
)
def test_each_fault_fails_the_bar_that_names_it(changes: dict[str, Any], word: str) -> None:
    assert word in " ".join(failing(fine(**changes)))


def test_a_failure_in_the_log_is_told_with_its_whole_traceback() -> None:
    [fault] = logged_failures(LOG)
    assert fault.splitlines()[0].endswith("while handling timed call")
    assert fault.splitlines()[-1].endswith("KeyError: 1")
    [words] = [words for _, holds, words in checks(fine(faults=[fault]), DRAIN) if holds is False]
    assert words == fault
    assert logged_failures("") == logged_failures(LOG.splitlines()[0]) == []


def test_slack_lengthens_what_is_timed_and_nothing_else() -> None:
    slow = fine(kills=[2 * OPERATOR_SECONDS], errors=["refused"])
    slow.latency["echo"]["p99"] = 60.0
    fails = [name for name, holds, _ in checks(slow, DRAIN, slack=4) if holds is False]
    assert fails == ["the operator has no error"]


def test_the_hostile_program_is_whole_and_needs_no_neighbour() -> None:
    text = hostile_program()
    compile(text, "hostile.py", "exec")
    assert "tests.soak" not in re.sub(r"`[^`]*`", "", text)
    assert {path.stem for path in PLACE.glob("*.py")} == {*PARTS, "__init__"}
    assert len(re.findall(r"^@attack$", text, re.MULTILINE)) == len(TABLE)
