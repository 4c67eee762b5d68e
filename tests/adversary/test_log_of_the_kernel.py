"""What an agent asks for in vain does not fill the log of the kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

ASKS = """
from clove import CloveClient
from clove.errors import CloveError

script = "/workspace/s.py"
open(script, "w").close()
with CloveClient() as client:
    for number in range(20):
        for name, path, more in (
            ("lost", "/workspace/nothing.py", {}),
            ("strange", script, {"python": "nothing"}),
            ("astray", script, {"cwd": "/workspace/" + "x/" * 2000}),
        ):
            try:
                client.spawn(f"{name}-{number}", path, **more)
                print("started")
            except CloveError as error:
                print(error.code)
"""


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def here(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(request.param) as running, running.emptied():
        yield running


def test_spawns_that_fail_write_little_into_the_log(here: Host) -> None:
    before = len(here.kernel.log)
    asker = here.client.spawn("asker", here.file("asks.py", ASKS), permissions={"can_spawn": True})[
        "id"
    ]
    assert here.client.wait(asker, timeout=60)["exit_code"] == 0
    told = [line["text"] for line in here.client.logs(asker)["lines"]]
    assert told == ["not_found"] * 60
    written = here.kernel.log[before:]
    assert "could not fork" not in written
    assert max(map(len, written.splitlines())) < 500
