"""A short run of `make relay-fuzz`, always with the same dice (attacks.md, rows 20 and 26)."""

from __future__ import annotations

import pytest

from tests.fuzz.relay_fuzz import Found, fuzz_relay, problems
from tests.fuzz.tunnel_fuzz import fuzz_tunnel
from tests.fuzz.turns import LONG

COUNT, SEED = 1200, 11
SLACK = 4
"""A machine that does much else takes longer for the same; the strict bar is that of `make relay-fuzz`."""


def judge(found: Found) -> None:
    lenient = found._replace(too_long=int(found.longest > SLACK * LONG))
    assert not problems(lenient), problems(lenient)


@pytest.mark.time_limit(200)
def test_anything_may_come_to_a_relay() -> None:
    judge(fuzz_relay(COUNT, SEED))


@pytest.mark.time_limit(200)
def test_a_relay_may_say_anything_to_a_kernel() -> None:
    judge(fuzz_tunnel(COUNT, SEED))
