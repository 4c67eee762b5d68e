"""Who an agent is to the kernel, and what it may do to others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import PermissionDenied
from tests.integration.conftest import SLEEP, KernelProcess, running_kernel

SPAWNS_ALL_KINDS = """
import json
from clove import CloveClient
from clove.errors import CloveError

open("child.py", "w").write("import time; time.sleep(60)")
c = CloveClient()
out = {}

def attempt(name, **options):
    try:
        out[name] = c.spawn(name, "/workspace/child.py", **options)["agent_id"]
    except CloveError as error:
        out[name] = [error.code, error.rule]

attempt("plain")
attempt("open", sandboxed=False)
attempt("net", network=True)
attempt("lax", allow_degraded=True)
attempt("strong", permissions={"can_http": True})
if isinstance(out.get("plain"), int):
    out["perms"] = c.get_permissions(out["plain"])["permissions"]
    out["killed"] = c.kill("plain")["killed"]
c.send_message(out, to_name="judge")
"""


def test_an_agent_may_spawn_only_with_permission_and_never_more_than_it_has(
    client: CloveClient, script: Any
) -> None:
    client.register_name("judge")
    client.spawn(
        "parent", script(SPAWNS_ALL_KINDS), permissions={"can_spawn": True, "max_llm_calls": 3}
    )
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
        client.wait(agent["id"], timeout=30)
        assert client.logs(agent["id"])["lines"][0]["text"] == "None seen"


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


def test_an_unsandboxed_agent_cannot_read_the_kernels_environment() -> None:
    """As an ordinary user: /proc/PID/environ of an undumpable process is root's."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything; run the tests as an ordinary user for this one")
    with running_kernel(environ={"MY_API_KEY": "hunter2"}) as kernel:
        for entry in ("environ", "mem"):
            with pytest.raises(PermissionError):
                Path(f"/proc/{kernel.pid}/{entry}").read_bytes()


SHARES = (
    "import json\nfrom clove import CloveClient\nfrom clove.errors import CloveError\n"
    "found = {}\n"
    "with CloveClient() as c:\n"
    "    for name, call in {\n"
    "        'store': lambda: c.store('plan', 'mine'), 'delete': lambda: c.delete_key('other'),\n"
    "        'broadcast': lambda: c.broadcast('hi'), 'emit': lambda: c.emit_event('x', {}),\n"
    "        'send': lambda: c.send_message('x', to_name='judge'),\n"
    "        'register': lambda: c.register_name('impostor'),\n"
    "        'fetch': lambda: c.fetch('plan')['value'], 'recv': lambda: c.recv_messages()['count'],\n"
    "    }.items():\n"
    "        try: found[name] = call()\n"
    "        except CloveError as e: found[name] = [e.code, e.rule]\n"
    "print(json.dumps(found))\n"
)


@pytest.mark.parametrize("level", ["readonly", "minimal"])
def test_readonly_and_minimal_leave_nothing_with_others(
    client: CloveClient, script: Any, level: str
) -> None:
    client.register_name("judge")
    client.store("plan", "by the operator")
    client.store("other", 1)
    agent = client.spawn("reader", script(SHARES), permissions=level)
    client.wait(agent["id"], timeout=30)
    found = json.loads("".join(line["text"] for line in client.logs(agent["id"])["lines"]))
    refused = ["permission_denied", f"level: {level}"]
    for name in ("store", "delete", "broadcast", "emit", "send", "register"):
        assert found[name] == refused, name
    reads = level == "readonly"
    assert found["fetch"] == ("by the operator" if reads else refused)
    assert found["recv"] == (0 if reads else refused)
    assert client.fetch("plan")["value"] == "by the operator"
    assert client.fetch("other")["exists"]
