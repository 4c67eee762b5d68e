"""Nothing that an agent sends makes a turn of the reactor long: the kernel's watchdog is asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adversary.turn_attacks import ATTACKS, PROLOGUE
from tests.integration.exposed import ROOT, ROOTLESS, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

CONFIG = """
[limits.metrics]
min_interval = 0.001

[watchdog]
cpu = 0.03  # half as much again as usual: a busy machine's processors are slower, too
"""
MAY_BE_BUSY = {
    "connections with requests in work are left at once": "a full collection of cycles",
    "an agent ends that has much in work": "a full collection of cycles",
}
"""Attacks in which a turn may use more, and by what: not by what is done for each request."""
_numbers = itertools.count()


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def here(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(request.param, CONFIG) as running, running.emptied():
        running.client.spawn("sink", running.file("sink.py", "import time; time.sleep(600)"))
        yield running


def turns(here: Host) -> tuple[int, int]:
    """Turns so far that used too much processor time, and that waited too long."""
    found: Any = here.client.get_system_metrics()["metrics"]["reactor"]
    return found["busy"], found["held_up"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_an_agent_sends_makes_a_turn_long(here: Host, attack: str) -> None:
    name = f"attacker-{next(_numbers)}"
    script = here.file(f"{name}.py", f"me = {name!r}\n{PROLOGUE}{ATTACKS[attack]}")
    before, log = turns(here), len(here.kernel.log)
    attacker = here.client.spawn(name, script, permissions="unrestricted")["id"]
    ended = here.client.wait(attacker, timeout=50)
    lines = here.client.logs(attacker)["lines"]
    assert ended["exit_code"] == 0 or ended["signal"] == 9, lines[-20:]
    busy, held_up = turns(here)
    if attack in MAY_BE_BUSY:
        busy = before[0]
    assert (busy, held_up) == before, here.kernel.log[log:]
