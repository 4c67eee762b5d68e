"""`disk`: the room of a workspace that no quota holds is watched, and the agent is ended when over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest, TimedOut
from tests.integration.exposed import ROOT, ROOTLESS, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX
CONFIG = "[limits.agents]\ndisk_interval = 0.05\n"
MEBI = 1 << 20
SLEEP = "import time; print('up', flush=True); time.sleep(100)\n"
WAYS = {
    "one file": "open('big', 'wb').write(b'x' * (8 << 20))\n",
    "many empty files": (
        "import os\nfor number in range(20000):\n    os.close(os.open(str(number), os.O_CREAT))\n"
    ),
    "deep beneath a hidden name": (
        "import os\nos.makedirs('.a/' * 50)\nopen('.a/' * 50 + 'big', 'wb').write(b'x' * (8 << 20))\n"
    ),
    "deeper than is counted": (
        "import os\nfor _ in range(150):\n    os.mkdir('d')\n    os.chdir('d')\n"
        "open('big', 'wb').write(b'x' * (8 << 20))\n"
    ),
    "all of it closed": "import os\nopen('big', 'wb').write(b'x' * (8 << 20))\nos.chmod('.', 0)\n",
    "where none but itself may look": (
        "import os\nos.mkdir('c')\nopen('c/big', 'wb').write(b'x' * (8 << 20))\nos.chmod('c', 0)\n"
    ),
    "where others see names alone": (
        "import os\nos.mkdir('c')\nbig = open('c/big', 'wb')\nos.chmod('c', 0o400)\n"
        "big.write(b'x' * (8 << 20))\n"
    ),
    "in a workspace of names alone": (
        "import os\nbig = open('big', 'wb')\nos.chmod('.', 0o400)\nbig.write(b'x' * (8 << 20))\n"
    ),
}


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def running(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(request.param, CONFIG) as found:
        yield found


def begin(running: Host, name: str, text: str, **fields: Any) -> Any:
    path = Path(running.kernel.directory, f"{name}.py")
    path.write_text(text)
    return running.client.spawn(name, str(path), **fields)


@pytest.mark.parametrize("way", WAYS)
def test_an_agent_is_ended_when_its_workspace_is_over_the_limit(running: Host, way: str) -> None:
    name = way.replace(" ", "-")
    reply = begin(running, name, WAYS[way] + SLEEP, limits={"disk": 2 * MEBI})
    if reply["isolation"]["disk"] == "quota":
        pytest.skip("a quota holds it here")
    assert reply["isolation"]["disk"] == "watched"
    end = running.client.wait(name, timeout=60)
    assert (end["reason"], end["limit"]) == ("disk", {"name": "disk", "value": 2 * MEBI})
    told = "".join(line["text"] for line in running.client.logs(name)["lines"])
    assert "over its disk limit of 2097152 bytes for its workspace" in told


def test_one_that_stays_below_goes_on_and_gets_another_limit(running: Host) -> None:
    text = "open('small', 'wb').write(b'x' * (1 << 20))\n" + SLEEP
    begin(running, "modest", text, limits={"disk": 4 * MEBI})
    assert running.client.inspect("modest")["limits"]["disk"] == 4 * MEBI
    assert next(running.client.follow_logs("modest"))["text"] == "up"
    reply = running.client.update_limits("modest", {"disk": 1 * MEBI})
    assert (reply["applied"], reply["limits"]["disk"]) == (["disk"], MEBI)
    assert running.client.wait("modest", timeout=60)["reason"] == "disk"


def test_other_places_are_not_counted(running: Host) -> None:
    text = "open('/tmp/x', 'wb').write(b'x' * (4 << 20))\n" + SLEEP
    begin(running, "elsewhere", text, limits={"disk": MEBI})
    assert next(running.client.follow_logs("elsewhere"))["text"] == "up"
    with pytest.raises(TimedOut):
        running.client.wait("elsewhere", timeout=0.5)
    running.client.kill("elsewhere")


def test_it_is_a_limit_of_sandboxes(running: Host) -> None:
    with pytest.raises(InvalidRequest, match="a sandbox's workspace"):
        begin(running, "bare", SLEEP, sandboxed=False, limits={"disk": MEBI})


PARENT = """
from clove import CloveClient
from clove.errors import PermissionDenied
client = CloveClient()
found = [client.inspect(client.spawn("child", command=["sleep", "9"])["id"])["limits"]["disk"]]
try:
    client.spawn("large", command=["sleep", "9"], limits={"disk": 8 << 20})
except PermissionDenied as error:
    found.append(error.rule)
print(found, flush=True)
"""


def test_a_child_has_no_more_than_its_parent(running: Host) -> None:
    may = {"can_spawn": True}
    begin(running, "parent", PARENT, limits={"disk": 4 * MEBI}, permissions=may)
    assert next(running.client.follow_logs("parent"))["text"] == str([4 * MEBI, "limits.disk"])
