"""The subcommands that look at agents and manage them, as processes, against a real kernel."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clove import CloveClient
from tests.integration.commands import CLOVE, Result, clove
from tests.integration.conftest import SLEEP, STUBBORN, KernelProcess, until_up
from tests.waiting import until

__all__ = ["clove"]


@contextlib.contextmanager
def following(kernel: KernelProcess, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until it is interrupted."""
    command = [CLOVE, "--socket", kernel.socket, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        yield it
        it.send_signal(signal.SIGINT)
        it.communicate(timeout=30)
        assert it.returncode == 0


def test_ps_all_shows_how_agents_ended(clove: Any, client: CloveClient, script: Any) -> None:
    client.spawn("seven", script("raise SystemExit(7)"))
    client.wait("seven")
    client.spawn("slow", script(SLEEP))
    client.kill("slow")
    assert "seven" not in clove("ps").stdout
    table = clove("ps", "-a").stdout
    [line] = [line for line in table.splitlines() if "seven" in line]
    assert "exited" in line
    assert "exit 7" in line
    [line] = [line for line in table.splitlines() if "slow" in line]
    assert "SIGTERM, killed" in line
    entries = [json.loads(line) for line in clove("ps", "-a", "--json").stdout.splitlines()]
    assert [one["ended"]["exit_code"] for one in entries if one["name"] == "seven"] == [7]
    assert "seven" in clove("ps", "-aq").stdout.splitlines()


def test_inspect_is_readable_and_json(
    clove: Any, client: CloveClient, script: Any, tmp_path: Path
) -> None:
    path = script(SLEEP)
    more: dict[str, Any] = {"env": {"TOKEN": "xyzzy"}, "labels": {"team": "clock"}, "timeout": 300}
    mounts = [{"path": str(tmp_path), "writable": False}]
    agent = client.spawn("seen", path, restart_policy="always", mounts=mounts, **more)
    text = clove("inspect", "seen").stdout
    shown = dict(line.split(maxsplit=1) for line in text.splitlines() if len(line.split()) > 1)
    assert shown["dirs"] == f"{tmp_path}:ro"
    assert shown["labels"] == "team=clock"
    assert shown["timeout"] == "5m 0s"
    assert f"seen (id {agent['id']})" in text
    assert path in text
    assert "always, 5 times at most; 0 so far" in text
    assert "TOKEN" in text
    assert "xyzzy" not in text
    reply = json.loads(clove("inspect", "--json", str(agent["id"])).stdout)
    assert reply["limits"]["max_pids"] == 64
    result = clove("inspect", "sean", "seen")
    assert result.returncode == 1
    assert "did you mean seen?" in result.stderr
    assert "seen (id" in result.stdout


def test_wait_says_how_each_ended(clove: Any, client: CloveClient, script: Any) -> None:
    client.spawn("three", script("raise SystemExit(3)"))
    result = clove("wait", "three")
    assert (result.returncode, result.stdout) == (0, "three: exit 3\n")
    assert json.loads(clove("wait", "--json", "three").stdout)["exit_code"] == 3
    client.spawn("long", script(SLEEP))
    result = clove("wait", "--timeout", "0.1", "long")
    assert result.returncode == 1
    assert "still lives" in result.stderr


def test_kill_signals_or_ends(clove: Any, client: CloveClient, script: Any) -> None:
    client.spawn("target", script(STUBBORN))
    until_up(client, "target")
    assert clove("kill", "--signal", "cont", "target").stdout == "sent SIGCONT to target\n"
    result = clove("kill", "-s", "SIGHUPP", "target")
    assert result.returncode == 2
    assert "did you mean SIGHUP?" in result.stderr
    assert clove("kill", "--signal", "HUP", "--stop-timeout", "1", "target").returncode == 2
    assert clove("kill", "--stop-timeout", "0", "target").stdout == "killed target\n"
    assert client.wait("target")["signal"] == signal.SIGKILL


def test_pause_resume_restart_and_rename(clove: Any, client: CloveClient, script: Any) -> None:
    client.spawn("worker", script(SLEEP))
    until_up(client, "worker")
    assert clove("pause", "worker").stdout == "paused worker\n"
    assert client.list_agents()[0]["state"] == "paused"
    assert clove("resume", "worker").stdout == "resumed worker\n"
    assert clove("restart", "--stop-timeout", "0s", "worker").stdout.startswith("restarted worker")
    assert clove("rename", "worker", "helper").stdout == "worker is helper now\n"
    assert [one["name"] for one in client.list_agents()] == ["helper"]
    result = clove("restart", "worker", "helper")
    assert result.returncode == 1
    assert result.stdout.startswith("restarted helper")
    assert "no agent with name 'worker'" in result.stderr


def test_an_agent_named_by_digits_is_found_by_name(
    clove: Any, client: CloveClient, script: Any
) -> None:
    agent = client.spawn("12345", script(SLEEP))
    assert clove("pause", "12345").stdout == "paused 12345\n"
    assert clove("resume", str(agent["id"])).returncode == 0
    assert "12345" in clove("stats", "12345").stdout
    assert clove("kill", "12345").returncode == 0


def test_prune_forgets_one_or_all(own_kernel: KernelProcess, tmp_path: Path) -> None:
    quick = tmp_path / "quick.py"
    quick.write_text("pass")

    def clove(*words: str) -> Result:
        command = [CLOVE, "--socket", own_kernel.socket, *words]
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )

    with CloveClient(own_kernel.socket) as client:
        for name in ("a", "b", "c"):
            client.spawn(name, str(quick))
            client.wait(name)
        assert clove("prune", "a").stdout == "forgot a\n"
        assert clove("prune", "--older-than", "1h").stdout == "forgot 0 ended agents\n"
        assert clove("prune").stdout == "forgot 2 ended agents\n"
        assert client.list_agents(all=True) == []
        assert "no agents\n" in clove("ps", "-a").stderr


def test_events_come_as_they_happen(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    path = script("raise SystemExit(4)")
    with following(kernel, "events", "agent_exited") as watch:
        until(lambda: subscribed(client), "it has subscribed")
        client.spawn("brief", path)
        assert watch.stdout is not None
        line = watch.stdout.readline()
    assert "AGENT_EXITED" in line
    assert "brief (" in line
    assert "exit_code=4" in line


def subscribed(client: CloveClient) -> bool:
    """Has another connection than ours asked for something?"""
    return any(
        one["status"] == "connected" and one["syscalls"] and one["agent_id"] != client.agent_id
        for one in client.get_all_agent_metrics()["agents"]
    )


def test_events_end_by_count_or_time(clove: Any) -> None:
    assert clove("events", "--timeout", "0.1").stdout == ""
    result = clove("events", "AGENT_EXITTED")
    assert result.returncode == 1
    assert "AGENT_EXITED" in result.stderr


def test_audit_shows_what_was_done(
    clove: Any, kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    client.spawn("audited", script(SLEEP))
    client.kill("audited")
    lines = clove("audit", "--category", "agent_lifecycle", "-n", "50").stdout.splitlines()
    assert any("KILL" in line and "name=audited" in line for line in lines)
    entries = [json.loads(line) for line in clove("audit", "--json").stdout.splitlines()]
    assert [one["id"] for one in entries] == sorted(one["id"] for one in entries)
    last = entries[-1]["id"]
    newer = clove("audit", "--json", "--since-id", str(last)).stdout
    assert all(json.loads(line)["id"] > last for line in newer.splitlines())
    assert clove("audit", "--since-id", "1", "-n", "5").returncode == 2
    with following(kernel, "audit", "-f", "--category", "STATE_STORE") as watch:
        assert watch.stdout is not None
        until(lambda: watch.poll() is None, "it runs")
        client.store("seen-by-audit", 1)
        line = watch.stdout.readline()
        while "seen-by-audit" not in line:
            line = watch.stdout.readline()


WAITS = (
    "import sys\nfrom clove import CloveClient\nclient = CloveClient(sys.argv[1])\n"
    "print('up', flush=True)\nclient.recv_messages(wait=100)\n"
)


def test_stats_and_top_say_what_agents_use_and_wait_for(
    clove: Any, client: CloveClient, script: Any
) -> None:
    agent = client.spawn("waiter", script(WAITS))

    def waiting() -> bool:
        metrics = client.get_agent_metrics(agent["id"])["metrics"]
        return bool(metrics["outstanding"] == {"RECV": 1})

    until(waiting, "it waits for a message")
    [line] = [line for line in clove("stats").stdout.splitlines() if "waiter" in line]
    assert "running" in line
    assert "256M" in line
    assert line.rstrip().endswith("RECV")
    one = json.loads(clove("stats", "--json", "waiter").stdout)
    assert one["limits"]["memory"] == 256 << 20
    text = clove("top").stdout
    assert text.startswith("1 of 1 agent runs ")
    assert "waiter" in text
    looks = clove("top", "--json", "--count", "2", "--interval", "0.2").stdout.splitlines()
    assert [json.loads(look)["agents"][0]["name"] for look in looks] == ["waiter", "waiter"]
    assert "nobody" in clove("stats", "nobody").stderr
    client.send_message("go", to_name="waiter")


def test_top_on_a_terminal_is_a_screen(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    client.spawn("shown", script(SLEEP))
    ours, theirs = pty.openpty()
    command = [CLOVE, "--socket", kernel.socket, "top", "--count", "1"]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
    try:
        process = subprocess.Popen(command, stdout=theirs, stdin=theirs, stderr=theirs, env=environ)
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # EIO: nobody holds the other end
                break
            if not piece:
                break
            seen += piece
        assert process.wait(30) == 0
    finally:
        os.close(ours)
    assert b"\x1b[?1049h" in seen
    assert b"shown" in seen


def test_misspelt_words_name_the_near_ones(clove: Any) -> None:
    result = clove("restrat", "a")
    assert result.returncode == 2
    assert "did you mean restart" in result.stderr
    result = clove("kill", "--sginal", "HUP", "a")
    assert result.returncode == 2
    assert "--signal" in result.stderr
    result = clove("stats", "--sort", "memroy")
    assert result.returncode == 2
