"""An agent's life as real processes under a real kernel: starts, ends, restarts, output."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import (
    CloveError,
    NotFound,
    TimedOut,
)
from tests.integration.conftest import (
    BOTH,
    SLEEP,
    STUBBORN,
    KernelProcess,
    running_kernel,
    until_up,
)


@BOTH
def test_an_agent_has_one_id_everywhere(client: CloveClient, script: Any, sandboxed: bool) -> None:
    path = script(
        "import os, sys\nfrom clove import CloveClient\n"
        "with CloveClient() as c:\n"
        "    mail = c.recv_messages(wait=30)['messages'][0]\n"
        "    c.send_message({'id': c.hello()['agent_id'], 'env': os.environ['CLOVE_AGENT_ID'],\n"
        "                    'argv': sys.argv[2:]}, to=mail['from'])\n"
    )
    reply = client.spawn("one", path, args=["x", "y"], sandboxed=sandboxed)
    assert reply["id"] == reply["agent_id"]
    assert client.send_message({}, to=reply["id"])["delivered_to"] == reply["id"]
    [mail] = client.recv_messages(wait=30)["messages"]
    assert mail["from"] == mail["from_id"] == reply["id"]
    assert mail["from_name"] == "one"
    assert mail["message"] == {
        "id": reply["id"],
        "env": str(reply["id"]),
        "argv": ["x", "y"],
    }
    ended = client.wait("one", timeout=30)
    assert (ended["exit_code"], ended["signal"], ended["reason"]) == (0, None, "exited")


@BOTH
@pytest.mark.parametrize(
    ("text", "code", "number"),
    [
        ("raise SystemExit(7)", 7, None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", None, 9),
        ("import os; os.abort()", None, 6),
        ("1/0", 1, None),
        ("import os; os._exit(255)", 255, None),
    ],
)
def test_exit_codes_and_signals_are_the_real_ones(
    client: CloveClient,
    script: Any,
    sandboxed: bool,
    text: str,
    code: int | None,
    number: int | None,
) -> None:
    agent = client.spawn("ends", script(text), sandboxed=sandboxed)
    ended = client.wait(agent["id"], timeout=20)
    assert (ended["exit_code"], ended["signal"]) == (code, number)


@BOTH
def test_kill_ends_the_whole_group(client: CloveClient, script: Any, sandboxed: bool) -> None:
    path = script(
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '987654'])\n"
        "print('up', flush=True)\ntime.sleep(100)\n"
    )
    client.spawn("family", path, sandboxed=sandboxed)
    until_up(client, "family")
    while not processes_with("987654"):  # its exec may still be setting up its arguments
        time.sleep(0.005)
    assert client.kill("family")["killed"] is True
    assert processes_with("987654") == []


def processes_with(word: str) -> list[str]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                command = Path(entry.path, "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if word in command.split("\0"):
                found.append(command)
    return found


@BOTH
def test_a_stubborn_agent_is_killed_after_the_grace_period(sandboxed: bool) -> None:
    with (
        running_kernel("[limits.agents]\ngrace = 0.2\n") as kernel,
        CloveClient(kernel.socket) as client,
    ):
        path = Path(kernel.directory, "a.py")
        path.write_text(STUBBORN)
        agent = client.spawn("stubborn", str(path), sandboxed=sandboxed)
        until_up(client, "stubborn")
        client.kill("stubborn")
        ended = client.wait(agent["id"], timeout=30)
        assert (ended["signal"], ended["reason"]) == (9, "killed")


@BOTH
def test_a_failing_agent_is_restarted_with_its_id_and_mailbox(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    path = script(
        "from clove import CloveClient\n"
        "with CloveClient() as c:\n"
        "    seen = c.fetch('runs')\n"
        "    runs = (seen['value'] or 0) + 1 if seen['exists'] else 1\n"
        "    c.store('runs', runs)\n"
        "    if runs == 1: raise SystemExit(3)\n"
        "    mail = c.recv_messages(wait=30)['messages']\n"
        "    c.send_message({'runs': runs, 'mail': len(mail)}, to=mail[0]['from'])\n"
    )
    client.delete_key("runs")
    agent = client.spawn("phoenix", path, sandboxed=sandboxed, restart_policy="on-failure")
    client.send_message("kept", to=agent["id"])
    [mail] = client.recv_messages(wait=20)["messages"]
    assert mail["from"] == agent["id"]
    assert mail["message"] == {"runs": 2, "mail": 1}
    assert client.wait(agent["id"], timeout=30)["restarts"] == 1


def test_too_many_failures_escalate(client: CloveClient, script: Any) -> None:
    client.subscribe(["AGENT_EXITED", "AGENT_ESCALATED", "AGENT_RESTARTING"])
    agent = client.spawn(
        "doomed", script("raise SystemExit(9)"), restart_policy="always", max_restarts=1
    )
    ended = client.wait(agent["id"], timeout=20)
    assert (ended["reason"], ended["restarts"]) == ("escalated", 1)
    events = client.poll_events(max=20)["events"]
    mine = [event for event in events if event["source_agent_id"] == agent["id"]]
    assert [event["type"] for event in mine] == [
        "AGENT_EXITED",
        "AGENT_RESTARTING",
        "AGENT_EXITED",
        "AGENT_ESCALATED",
    ]
    assert mine[-1]["data"]["agent_name"] == "doomed"
    assert mine[-1]["data"]["restart_count"] == 1
    assert mine[-1]["data"]["exit_code"] == 9
    client.unsubscribe(["AGENT_EXITED", "AGENT_ESCALATED", "AGENT_RESTARTING"])


def test_ended_agents_leave_no_directories_behind(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    for number in range(3):
        client.spawn(f"short{number}", script("pass"))
        client.wait(f"short{number}", timeout=30)
    deadline = time.monotonic() + 30
    while os.listdir(f"{kernel.state_dir}/agents") or os.listdir(f"{kernel.state_dir}/run"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_that_is_killed_between_restarts_leaves_nothing(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    agent = client.spawn("flaky", script("1/0"), restart_policy="always")
    while client.list_agents()[0]["state"] != "restarting":
        time.sleep(0.005)
    assert client.kill("flaky")["killed"] is True
    assert client.wait(agent["id"])["reason"] == "killed"
    deadline = time.monotonic() + 30
    while os.listdir(f"{kernel.state_dir}/agents") or os.listdir(f"{kernel.state_dir}/run"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_wait_gives_up_after_its_time_out(client: CloveClient, script: Any) -> None:
    client.spawn("sleeper", script(SLEEP))
    with pytest.raises(TimedOut):
        client.wait("sleeper", timeout=0.05)
    assert client.list_agents()[0]["state"] == "running"


def test_logs_are_followed_to_the_end(client: CloveClient, script: Any) -> None:
    path = script("import sys\nfor n in range(3): print(n)\nprint('bad', file=sys.stderr)\n")
    client.spawn("talker", path)
    lines = list(client.follow_logs("talker"))
    assert sorted(line["text"] for line in lines) == ["0", "1", "2", "bad"]
    assert [line["offset"] for line in lines] == [0, 1, 2, 3]
    assert {line["text"]: line["stream"] for line in lines}["bad"] == "stderr"


def test_a_flood_of_output_does_not_hold_others_up(client: CloveClient, script: Any) -> None:
    path = script("import sys\nwhile True: sys.stdout.write('up\\n' * 4096)\n")
    client.spawn("flood", path)
    until_up(client, "flood")
    for _ in range(200):
        assert client.noop(b"x") == b"x"
    client.kill("flood")


def test_what_is_not_there_is_not_found(client: CloveClient) -> None:
    for call in (client.kill, client.pause, client.resume, client.wait, client.logs):
        with pytest.raises(NotFound):
            call("nobody")


def test_a_request_without_a_target_is_refused(client: CloveClient) -> None:
    with pytest.raises(CloveError):
        client.kill()
