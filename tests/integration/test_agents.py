"""Agents as real processes under a real kernel, seen through the blocking client."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import (
    AlreadyExists,
    CloveError,
    InvalidRequest,
    IsolationUnavailable,
    NotFound,
    PermissionDenied,
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
        "    mail = c.recv_messages(wait=10)['messages'][0]\n"
        "    c.send_message({'id': c.hello()['agent_id'], 'env': os.environ['CLOVE_AGENT_ID'],\n"
        "                    'argv': sys.argv[2:]}, to=mail['from'])\n"
    )
    reply = client.spawn("one", path, args=["x", "y"], sandboxed=sandboxed)
    assert reply["id"] == reply["agent_id"]
    assert client.send_message({}, to=reply["id"])["delivered_to"] == reply["id"]
    [mail] = client.recv_messages(wait=10)["messages"]
    assert mail["from"] == mail["from_id"] == reply["id"]
    assert mail["from_name"] == "one"
    assert mail["message"] == {
        "id": reply["id"],
        "env": str(reply["id"]),
        "argv": ["x", "y"],
    }
    ended = client.wait("one", timeout=10)
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
        ended = client.wait(agent["id"], timeout=5)
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
        "    mail = c.recv_messages(wait=10)['messages']\n"
        "    c.send_message({'runs': runs, 'mail': len(mail)}, to=mail[0]['from'])\n"
    )
    client.delete_key("runs")
    agent = client.spawn("phoenix", path, sandboxed=sandboxed, restart_policy="on-failure")
    client.send_message("kept", to=agent["id"])
    [mail] = client.recv_messages(wait=20)["messages"]
    assert mail["from"] == agent["id"]
    assert mail["message"] == {"runs": 2, "mail": 1}
    assert client.wait(agent["id"], timeout=10)["restarts"] == 1


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


def test_a_name_in_use_is_refused_and_free_again_afterwards(
    client: CloveClient, script: Any
) -> None:
    path = script(SLEEP)
    client.spawn("single", path)
    with pytest.raises(AlreadyExists):
        client.spawn("single", path)
    client.kill("single")
    client.spawn("single", path)


def test_two_spawns_of_one_name_at_once_give_one_agent(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    path = script(SLEEP)
    outcomes: list[str] = []

    def spawn() -> None:
        with CloveClient(kernel.socket) as other:
            try:
                other.spawn("race", path)
                outcomes.append("spawned")
            except AlreadyExists:
                outcomes.append("refused")

    threads = [threading.Thread(target=spawn) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 5 + ["spawned"]


def test_a_missing_script_is_an_error_of_spawn_and_leaves_nothing(
    own_kernel: KernelProcess,
) -> None:
    with CloveClient(own_kernel.socket) as client:
        with pytest.raises(NotFound):
            client.spawn("ghost", "/no/such/script.py")
        with pytest.raises(InvalidRequest, match="directory"):
            client.spawn("ghost", own_kernel.directory)
        assert client.list_agents() == []
    assert os.listdir(f"{own_kernel.state_dir}/agents") == []
    assert os.listdir(f"{own_kernel.state_dir}/run") == []


def test_ended_agents_leave_no_places_behind(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    for number in range(3):
        client.spawn(f"short{number}", script("pass"))
        client.wait(f"short{number}", timeout=10)
    deadline = time.monotonic() + 10
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
    deadline = time.monotonic() + 10
    while os.listdir(f"{kernel.state_dir}/agents") or os.listdir(f"{kernel.state_dir}/run"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_missing_interpreter_is_an_error_of_spawn(client: CloveClient, script: Any) -> None:
    with pytest.raises(NotFound):
        client.spawn("x", script("pass"), python="/no/such/python")


def test_another_interpreter_runs_the_script(client: CloveClient, script: Any) -> None:
    agent = client.spawn(
        "system", script("import sys; print(sys.prefix)"), python="/usr/bin/python3"
    )
    client.wait(agent["id"], timeout=20)
    assert client.logs(agent["id"])["lines"][0]["text"] == "/usr"


def test_limits_asked_for_by_name_are_enforced_or_refused(client: CloveClient, script: Any) -> None:
    path = script(SLEEP)
    free = client.spawn("free", path)["isolation"]
    client.kill("free")
    if free["cgroups"]["memory_limit"]:
        pytest.skip("this host has the memory controller; the guest's tests cover it")
    with pytest.raises(IsolationUnavailable, match="memory") as caught:
        client.spawn("strict", path, limits={"memory": 1 << 28})
    assert caught.value.hint
    degraded = client.spawn("lax", path, limits={"memory": 1 << 28}, allow_degraded=True)
    assert degraded["isolation"]["fully_isolated"] is False
    assert degraded["isolation"]["degraded_reason"]


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


def test_an_agent_may_spawn_only_with_permission_and_never_more_than_it_has(
    client: CloveClient, script: Any
) -> None:
    path = script(
        "import json\nfrom clove import CloveClient\nfrom clove.errors import CloveError\n"
        "open('child.py', 'w').write('import time; time.sleep(60)')\n"
        "c = CloveClient()\n"
        "out = {}\n"
        "def attempt(name, **options):\n"
        "    try:\n"
        "        out[name] = c.spawn(name, '/workspace/child.py', **options)['agent_id']\n"
        "    except CloveError as error:\n"
        "        out[name] = [error.code, error.rule]\n"
        "attempt('plain')\nattempt('open', sandboxed=False)\nattempt('net', network=True)\n"
        "attempt('lax', allow_degraded=True)\n"
        "attempt('strong', permissions={'can_http': True})\n"
        "if isinstance(out.get('plain'), int):\n"
        "    out['perms'] = c.get_permissions(out['plain'])['permissions']\n"
        "    out['killed'] = c.kill('plain')['killed']\n"
        "c.send_message(out, to_name='judge')\n"
    )
    client.register_name("judge")
    client.spawn("parent", path, permissions={"can_spawn": True, "max_llm_calls": 3})
    [mail] = client.recv_messages(wait=30)["messages"]
    found = mail["message"]
    assert isinstance(found["plain"], int)
    assert found["open"] == ["permission_denied", "sandboxed"]
    assert found["net"] == ["permission_denied", "network"]
    assert found["lax"] == ["permission_denied", "allow_degraded"]
    assert found["perms"]["can_spawn"] is False
    assert found["perms"]["max_llm_calls"] == 3
    assert found["killed"] is True
    strong = found["strong"]
    assert strong[0] == "permission_denied" if isinstance(strong, list) else True
    plain = script(
        "from clove import CloveClient\nfrom clove.errors import CloveError\n"
        "c = CloveClient()\n"
        "try: c.spawn('x', '/app/none.py')\n"
        "except CloveError as e: c.send_message([e.code, e.rule], to_name='judge')\n"
    )
    client.spawn("humble", plain)
    [mail] = client.recv_messages(wait=30)["messages"]
    assert mail["message"][0] == "permission_denied"
    assert "standard" in mail["message"][1]


def test_agents_cannot_manage_each_other(client: CloveClient, script: Any) -> None:
    client.register_name("referee")
    client.spawn("victim", script(SLEEP))
    path = script(
        "from clove import CloveClient\nfrom clove.errors import CloveError\n"
        "c = CloveClient()\nout = {}\n"
        "for name in ('kill', 'pause', 'resume', 'logs', 'wait'):\n"
        "    try: getattr(c, name)('victim'); out[name] = 'allowed'\n"
        "    except CloveError as error: out[name] = error.rule\n"
        "c.send_message(out, to_name='referee')\n"
    )
    client.spawn("rogue", path)
    [mail] = client.recv_messages(wait=30)["messages"]
    assert set(mail["message"].values()) == {"ancestry"}
    assert any(agent["name"] == "victim" for agent in client.list_agents())
    denied = client.get_audit_log(category="SECURITY")["entries"]
    assert any(entry["agent_name"] == "rogue" and not entry["success"] for entry in denied)


def test_an_unsandboxed_agent_on_the_main_socket_is_itself_not_the_operator(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    path = script(
        "import subprocess, sys\nfrom clove import CloveClient\n"
        f"main = CloveClient({kernel.socket!r})\n"
        "code = 'from clove import CloveClient; import sys; '\n"
        "code += 'print(CloveClient(sys.argv[1]).hello()[\"agent_id\"])'\n"
        f"child = subprocess.run([sys.executable, '-c', code, {kernel.socket!r}],\n"
        "                       capture_output=True, text=True, start_new_session=True)\n"
        "main.send_message({'main': main.hello()['agent_id'], 'child': int(child.stdout)},\n"
        "                  to_name='witness')\n"
    )
    client.register_name("witness")
    agent = client.spawn("local", path, sandboxed=False)
    [mail] = client.recv_messages(wait=30)["messages"]
    assert mail["message"] == {"main": agent["id"], "child": agent["id"]}


def test_commands_and_orphans_of_an_unsandboxed_agent_are_that_agent_too(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    asks = script(
        "import sys\nfrom clove import CloveClient\n"
        f"print(CloveClient({kernel.socket!r}).hello()['agent_id'])\n"
    )
    path = script(
        "import os, sys, time\nfrom clove import CloveClient\n"
        "c = CloveClient()\n"
        f"said = c.exec([sys.executable, {asks!r}])\n"
        "c.send_message(['command', said['stdout'].strip()], to_name='notary')\n"
        "middle = os.fork()\n"
        "if middle == 0:\n"
        "    os.setsid()\n"
        "    leader = os.getpid()\n"
        "    if os.fork() == 0:\n"
        "        while os.getppid() == leader: time.sleep(0.001)\n"
        f"        main = CloveClient({kernel.socket!r})\n"
        "        main.send_message(['orphan', str(main.hello()['agent_id'])], to_name='notary')\n"
        "    os._exit(0)\n"
        "os.waitpid(middle, 0)\n"
        "time.sleep(60)\n"
    )
    client.register_name("notary")
    agent = client.spawn("outside", path, sandboxed=False)
    said = [client.recv_messages(max=1, wait=30)["messages"][0]["message"] for _ in range(2)]
    assert said == [["command", str(agent["id"])], ["orphan", str(agent["id"])]]


def test_the_kernels_secrets_do_not_reach_unsandboxed_agents() -> None:
    environ = {"MY_API_KEY": "hunter2", "PLAIN": "seen"}
    with running_kernel(environ=environ) as kernel, CloveClient(kernel.socket) as client:
        path = Path(kernel.directory, "a.py")
        path.write_text("import os; print(os.environ.get('MY_API_KEY'), os.environ['PLAIN'])")
        agent = client.spawn("env", str(path), sandboxed=False)
        client.wait(agent["id"], timeout=10)
        assert client.logs(agent["id"])["lines"][0]["text"] == "None seen"


def test_a_flood_of_output_does_not_hold_others_up(client: CloveClient, script: Any) -> None:
    path = script(
        "import sys\nprint('up', flush=True)\nwhile True: sys.stdout.write('y\\n' * 4096)\n"
    )
    client.spawn("flood", path)
    until_up(client, "flood")
    for _ in range(200):
        assert client.noop(b"x") == b"x"
    client.kill("flood")


@pytest.mark.parametrize("name", ["a/b", "..", "a\0b", "x" * 10240, "", "\x1b[31m"])
def test_names_that_would_be_trouble_are_refused(
    client: CloveClient, script: Any, name: str
) -> None:
    with pytest.raises(InvalidRequest):
        client.spawn(name, script("pass"))


def test_what_is_not_there_is_not_found(client: CloveClient) -> None:
    for call in (client.kill, client.pause, client.resume, client.wait, client.logs):
        with pytest.raises(NotFound):
            call("nobody")


def test_a_request_without_a_target_is_refused(client: CloveClient) -> None:
    with pytest.raises(CloveError):
        client.kill()


def test_a_guest_is_refused_by_its_user_id(kernel: KernelProcess) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    os.chmod(kernel.directory, 0o755)
    os.chmod(kernel.socket, 0o666)
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(12345, 12345, 12345)
            CloveClient(kernel.socket).noop(b"")
        except PermissionDenied:
            os._exit(7)
        except BaseException:
            os._exit(8)
        os._exit(9)
    _, status = os.waitpid(pid, 0)
    os.chmod(kernel.socket, 0o600)
    os.chmod(kernel.directory, 0o700)
    assert os.waitstatus_to_exitcode(status) == 7


def test_sigterm_drains(own_kernel: KernelProcess) -> None:
    path = Path(own_kernel.directory, "a.py")
    path.write_text(SLEEP)
    with CloveClient(own_kernel.socket) as client:
        pid = client.spawn("left", str(path))["pid"]
        assert own_kernel.stop(signal.SIGTERM) in (0, -signal.SIGTERM)  # twistd ends by the signal
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not os.path.lexists(own_kernel.socket)
    assert not os.path.lexists(f"{own_kernel.state_dir}/agents")


def test_sigterm_drains_from_the_moment_that_one_can_connect(short_dir: str) -> None:
    kernel = KernelProcess(short_dir)
    with open(f"{short_dir}/log", "wb") as log:
        kernel.process = subprocess.Popen(kernel.command(), stdout=log, stderr=log)
    while not kernel.answers():
        assert kernel.process.poll() is None
    kernel.stop(signal.SIGTERM)
    assert not os.path.lexists(kernel.socket)
    assert not os.path.lexists(f"{kernel.state_dir}/run")


def test_a_killed_kernel_leaves_no_agents_and_its_successor_clears_up(
    own_kernel: KernelProcess,
) -> None:
    path = Path(own_kernel.directory, "a.py")
    path.write_text(SLEEP)
    with CloveClient(own_kernel.socket) as client:
        boxed = client.spawn("boxed", str(path))["pid"]
        plain = client.spawn("plain", str(path), sandboxed=False)["pid"]
    own_kernel.stop(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in (boxed, plain)):
        assert time.monotonic() < deadline, "agents outlived their kernel"
        time.sleep(0.01)
    assert os.path.lexists(own_kernel.socket)
    own_kernel.start()
    assert os.listdir(f"{own_kernel.state_dir}/agents") == []
    with CloveClient(own_kernel.socket) as client:
        assert client.list_agents() == []


def test_a_second_kernel_on_a_live_socket_refuses_to_start(kernel: KernelProcess) -> None:
    command = kernel.command()
    command[command.index("--state-dir") + 1] = f"{kernel.directory}/other"
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode != 0
    assert "listens on" in second.stdout + second.stderr
    with CloveClient(kernel.socket) as client:
        assert client.noop(b"alive") == b"alive"


def test_an_unknown_configuration_key_stops_the_start(short_dir: str) -> None:
    kernel = KernelProcess(short_dir, "[limits.mail]\nmax_mesages = 3\n")
    run = subprocess.run(kernel.command(), capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode != 0
    assert "max_mesages" in run.stdout + run.stderr
    assert "$.limits.mail" in run.stdout + run.stderr


def test_an_unsandboxed_agent_cannot_read_the_kernels_environment() -> None:
    """As an ordinary user: /proc/PID/environ of an undumpable process is root's."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything; run the tests as an ordinary user for this one")
    with running_kernel(environ={"MY_API_KEY": "hunter2"}) as kernel:
        for entry in ("environ", "mem"):
            with pytest.raises(PermissionError):
                Path(f"/proc/{kernel.pid}/{entry}").read_bytes()
