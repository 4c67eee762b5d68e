"""What an agent knows of the host, its paths above all, and that knowing them gives it nothing.

The root field of mountinfo cannot be hidden (proc_pid_mountinfo(5)), so it is taken for known.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.adversary.arena import Arena

ASK = """
import json, os, sys
from clove import CloveClient
from clove.errors import CloveError

[script, state] = sys.argv[2:]
with open("/proc/self/mountinfo") as lines:
    home = next(line.split()[3] for line in lines if line.split()[4] == "/workspace")
open("/workspace/mine.py", "w").write("print(1)")
os.makedirs("/workspace/bin")
client = CloveClient()

def told(call, *args, **fields):
    try:
        return call(*args, **fields)
    except CloveError as error:
        return error.code

def ended(reply):
    return reply if isinstance(reply, str) else reply["success"]

mine = f"{home}/mine.py"
print(json.dumps({
    "home": home,
    "read": told(client.read_file, mine),
    "read another's": told(client.read_file, script),
    "write": told(client.write_file, f"{home}/new", "x"),
    "exec in": told(client.exec, ["true"], cwd=home),
    "exec": told(client.exec, [mine]),
    "script": told(client.spawn, "a", mine),
    "script of another": told(client.spawn, "b", script),
    "python": told(client.spawn, "c", "/workspace/mine.py", python=f"{home}/bin/python"),
    "granted": sorted(
        told(client.spawn, "d", "/workspace/mine.py", permissions={"allowed_paths": [home, state]})
        ["isolation"].get("exposed", {})
    ),
    "why": told(client.why, "READ", {"path": script})["attempt"].get("errno_name"),
}))
"""
DENIED = {"permission_denied", "not_found", "invalid_request"}


def test_a_path_of_the_host_is_none_for_an_agent_that_knows_it(here: Arena) -> None:
    script = here.file("secret.py", "print('secret')")
    permissions = {"level": "unrestricted"}
    told = here.run(ASK, script, here.kernel.state_dir, permissions=permissions)
    assert told.pop("home").endswith("/workspace")
    assert told.pop("why") == "ENOENT"
    assert told.pop("granted") == []
    assert set(told.values()) <= DENIED, told


MACHINE = ("cmdline", "bootconfig", "partitions", "diskstats", "swaps", "locks", "iomem")
LOOK = f"""
import json
found = {{}}
for name in {MACHINE!r}:
    try:
        with open(f"/proc/{{name}}") as file:
            found[name] = file.read()
    except OSError as error:
        found[name] = ""
print(json.dumps(found))
"""


@pytest.mark.skipif(not Path("/proc/cmdline").read_text().strip(), reason="the host has none")
def test_the_machines_command_line_and_disks_are_not_told(here: Arena) -> None:
    assert set(here.run(LOOK).values()) == {""}


def test_a_masked_file_can_be_had_back_by_no_mount(here: Arena) -> None:
    code = "import os; found = os.stat('/proc/cmdline').st_rdev == os.stat('/dev/null').st_rdev"
    agent = here.spawn({"level": "unrestricted"})
    assert agent.ask("run", code) is True
    assert os.stat("/proc/cmdline").st_rdev == 0


HOSTS_OWN = ("sys/kernel/hostname", "sys/kernel/ns_last_pid", "uptime", "loadavg", "stat", "mounts")
READ = f"""
import json
from clove import CloveClient
from clove.errors import CloveError

client, found = CloveClient(), {{}}
for name in {(*HOSTS_OWN, "meminfo")!r}:
    try:
        found[name] = client.read_file(f"/proc/{{name}}")["content"]
    except CloveError as error:
        found[name] = error.code
print(json.dumps(found))
"""


def test_proc_does_not_answer_for_the_kernel_that_reads_it(here: Arena) -> None:
    """Who opens such a file does not count: what is read is of the reader's namespaces."""
    told = here.run(READ, permissions="standard")
    assert "MemTotal" in told.pop("meminfo")
    assert told == dict.fromkeys(HOSTS_OWN, "permission_denied")


WRITE = """
import json, os, stat
found = []
for place, directories, files in os.walk("/proc"):
    if place == "/proc":
        directories[:] = [name for name in directories if not (name.isdigit() or "self" in name)]
    for name in files:
        path = os.path.join(place, name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            continue
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # and not a mask
            found.append(path)
        os.close(descriptor)
print(json.dumps(found))
"""


def test_nothing_of_proc_that_is_the_machines_is_written(here: Arena) -> None:
    """Such as triggers of pressure stall information, which count for all (psi)."""
    assert here.run(WRITE) == []
