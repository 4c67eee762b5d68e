"""Ordinary work of a second kind: programs that need settings in /etc, interfaces, memory, devices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adversary.arena import Arena

MISSING = "not installed"
EXPECTED: dict[str, Any] = {
    "java": "lo",
    "node": "lo",
    "fonts": [False, True],
    "plots": "drawn",
    "shared_memory_of_100_mib": "done",
    "temporary_file_of_300_mib": "done",
    "more_than_there_is_room_for": "ENOSPC",
    "address_sanitizer": ["right", True],
    "thread_sanitizer": ["right", True],
    "pictures": ["", "PNG"],
    "r": "55 TRUE",
    "interfaces": [[1, "lo"]],
    "start_times_by_psutil": "True",
    "processors": True,
    "start_times": True,
    "looks_up_ipv4_where_an_interface_has_it": True,
    "watches_files": True,
}
LIMITS = {"memory": 1 << 30, "max_pids": 256}


@pytest.mark.parametrize("how", ["main", "command"])
def test_programs_find_what_they_need(arena: Arena, how: str) -> None:
    found = arena.attempts(
        "second_list.py",
        as_command=how == "command",
        network=True,
        limits=LIMITS,
        degrade=["limits"],  # where there is no cgroup to hold them
        permissions={"level": "unrestricted", "allowed_domains": ["api.test"]},
    )
    there = {name: said for name, said in found.items() if said != MISSING}
    assert there == {name: EXPECTED[name] for name in there}


def test_room_for_temporary_files_can_be_named(arena: Arena) -> None:
    sizes = (
        "import json, os\n"
        "def size(path):\n"
        "    facts = os.statvfs(path)\n"
        "    return facts.f_frsize * facts.f_blocks\n"
        "print(json.dumps([size('/tmp'), size('/dev/shm')]))\n"
    )
    assert arena.run(sizes) == [512 << 20, 128 << 20]
    assert arena.run(sizes, limits={"tmp": 5 << 20, "shm": 3 << 20}) == [5 << 20, 3 << 20]


def test_many_agents_of_one_user_watch_files_at_once(arena: Arena) -> None:
    watching = (
        "import ctypes, os, sys\nfrom clove import CloveClient\n"
        "libc = ctypes.CDLL(None)\n"
        "watches = [libc.inotify_init1(0) for _ in range(8)]\n"
        "added = [libc.inotify_add_watch(one, b'/workspace', 0x100) for one in watches]\n"
        "with CloveClient() as k:\n"
        "    mail = k.recv_messages(wait=50)['messages'][0]\n"
        "    k.send_message(min(watches + added) > 0, to=mail['from'])\n"
    )
    ids = [arena.begin(watching)["id"] for _ in range(4)]
    assert [arena.say(each, "well?") for each in ids] == [True] * 4
