"""Stopping and ending whole agents, and what they see of their own cgroup."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from clove import CloveClient
from tests.vm.conftest import Unit, cgroup_of, table, until, words
from tests.vm.sleeping import until_says

FAMILY = (  # a child, and a grandchild that left session and parent and ignores SIGTERM
    "import subprocess, time\n"
    'stubborn = "trap : TERM; while :; do sleep 1000; done"\n'
    "subprocess.Popen(['sleep', '1000'])\n"
    "subprocess.run(['sh', '-c', f\"setsid sh -c '{stubborn}' & \"], check=True)\n"
    "print('up', flush=True)\n"
    "time.sleep(1000)\n"
)
LOOK = """\
import ctypes, json, os
report = {"cgroup": open("/proc/self/cgroup").read(), "mounts": open("/proc/self/mounts").read()}
def attempt(name, action):
    try:
        action()
        report[name] = "done"
    except OSError as error:
        report[name] = error.strerror
def mount():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/workspace", b"cgroup2", 0, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
here = f"BASE/agent-{os.environ['CLOVE_AGENT_ID']}"
def put(path, text):
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text)
attempt("mount", mount)
for name, text in (("memory.max", b"max"), ("pids.max", b"max"), ("cgroup.procs", b"0")):
    attempt(name, lambda: put(f"/sys/fs/cgroup/{name}", text))
    attempt(f"host {name}", lambda: put(f"{here}/{name}", text))
attempt("above", lambda: put("BASE/cgroup.procs", b"0"))
print(json.dumps(report), flush=True)
"""
REFUSED = {"No such file or directory", "Permission denied", "Operation not permitted"}


def test_pause_freezes_every_process_and_kill_reaches_frozen_ones(
    client: CloveClient, unit: Unit
) -> None:
    agent = client.spawn("family", unit.script(FAMILY))
    until_says(client, "family", "up")
    place = cgroup_of(agent["pid"])
    procs = place / "cgroup.procs"
    until(lambda: len(words(procs)) >= 5, "init, main, and the three that it makes")
    pids = words(procs)
    client.pause("family")
    assert table(place / "cgroup.events")["frozen"] == 1
    client.resume("family")
    assert table(place / "cgroup.events")["frozen"] == 0
    client.pause("family")
    assert client.kill("family")["killed"] is True
    until(lambda: not place.exists(), "the cgroup is removed")
    until(lambda: not any(Path("/proc", pid).exists() for pid in pids), "the last is reaped")


def test_an_agent_can_neither_see_nor_change_its_cgroup(client: CloveClient, unit: Unit) -> None:
    client.spawn("look", unit.script(LOOK.replace("BASE", str(unit.base / f"clove-{unit.pid}"))))
    assert client.wait("look", timeout=90)["exit_code"] == 0
    [line] = client.logs("look")["lines"]
    report = json.loads(line["text"])
    assert "clove" not in report.pop("cgroup")
    mounts = report.pop("mounts").splitlines()
    assert [line for line in mounts if line.split()[2].startswith("cgroup")] == []
    assert len(report) == 8
    assert set(report.values()) <= REFUSED


def test_an_unsandboxed_agent_has_a_cgroup_that_goes_with_it(
    client: CloveClient, unit: Unit
) -> None:
    agent = client.spawn("outside", unit.script(FAMILY), sandboxed=False)
    until_says(client, "outside", "up")
    place = cgroup_of(agent["pid"])
    assert place.name == f"agent-{agent['id']}"
    pids = words(place / "cgroup.procs")
    assert client.kill("outside")["killed"] is True
    until(lambda: not place.exists(), "the cgroup is removed")
    until(lambda: not any(Path("/proc", pid).exists() for pid in pids), "the last is reaped")


def test_a_command_of_an_agent_counts_as_the_agents_own(client: CloveClient, unit: Unit) -> None:
    text = "from clove import CloveClient\nCloveClient().exec('exec sleep 4711', timeout=600)\n"
    agent = client.spawn("runs", unit.script(text), permissions={"level": "unrestricted"})
    place = cgroup_of(agent["pid"])

    def commands() -> list[str]:
        found = []
        for pid in words(place / "cgroup.procs"):
            with contextlib.suppress(OSError):
                found.append(Path("/proc", pid, "cmdline").read_text())
        return found

    until(lambda: "sleep\0004711\0" in commands(), "the command runs in the agent's cgroup")
