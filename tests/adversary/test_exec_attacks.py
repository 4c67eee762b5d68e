"""What a program has that `clove exec` starts in an agent's sandbox (attack row: exec): no more than the agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, Host, host, kill_all

PROBE = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
kept = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid", "Groups")
def tried(path, flags):
    try:
        os.close(os.open(path, flags))
        return "yes"
    except OSError as error:
        return error.strerror
print(json.dumps({
    "status": {name: status[name].split() for name in kept},
    "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in sorted(os.listdir("/proc/self/ns"))},
    "descriptors": sorted(each for each in os.listdir("/proc/self/fd") if int(each) > 2),
    "root": os.stat("/").st_ino,
    "writes": {path: tried(path, os.O_WRONLY | os.O_CREAT) for path in ("/x", "/etc/x", "/proc/1/mem")},
    "tracer": tried("/proc/1/root", os.O_RDONLY),
}))
"""
AGENT = PROBE + "import time\ntime.sleep(1000)\n"


@pytest.fixture(params=[ROOT, ROOTLESS])
def here(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running
        kill_all(running.client)


def test_a_program_beside_an_agent_has_no_more_than_the_agent(here: Host) -> None:
    here.client.spawn("beside", command=["python3", "-uc", AGENT])
    agents: dict[str, Any] = json.loads(next(here.client.follow_logs("beside"))["text"])
    with here.client.run("beside", ["python3", "-c", PROBE]) as ran:
        with open(ran.descriptors["stdout"], closefd=False) as output:
            programs: dict[str, Any] = json.loads(output.read())
        assert ran.finish()["exit_code"] == 0
    assert programs == agents
    assert programs["status"]["CapEff"] == ["0000000000000000"]
    assert programs["status"]["Seccomp"] == ["2"]
    assert "yes" not in programs["writes"].values()
