"""The zygote's life beside a real kernel, and who is forked from it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import InvalidRequest
from tests.integration.conftest import SLEEP, KernelProcess, running_kernel, until_up
from tests.integration.zygotes import PATIENCE, children, until_warm, zygote_of

PREFORKED = 1
"""Children that wait for nobody in particular, by default."""
TELL = "import json, os, sys\nprint(json.dumps({}))\n"
LOADED = TELL.format("sorted(sys.modules)")
KNOWN = "from clove.client import peer\n" + TELL.format(
    "[peer.mounted, os.environ['CLOVE_SOCKET']]"
)
HASH = TELL.format("hash('clove')")


@pytest.fixture
def client(kernel: KernelProcess, script: Any) -> Iterator[CloveClient]:
    """The operator of a kernel whose zygote serves."""
    with CloveClient(kernel.socket) as connected:
        first = until_warm(connected, script("pass"))
        connected.wait(first["id"])
        yield connected


def printed(client: CloveClient, reply: Any) -> Any:
    """What an agent has printed, as JSON, once it has ended."""
    ended = client.wait(reply["id"], timeout=PATIENCE)
    lines = client.logs(reply["id"])["lines"]
    assert ended["exit_code"] == 0, lines
    return json.loads(lines[-1]["text"])


@pytest.mark.parametrize(
    ("fields", "warm"),
    [
        ({}, True),
        ({"warm": True}, True),
        ({"network": True}, True),
        ({"env": {"NAME": "value", "TZ": "UTC"}}, True),
        ({"permissions": "minimal"}, True),
        ({"warm": False}, False),
        ({"sandboxed": False}, False),
        ({"env": {"PYTHONHASHSEED": "7"}}, True),  # these are executed anew
        ({"env": {"PYTHONPATH": "/workspace"}}, True),
        ({"env": {"LD_PRELOAD": "/workspace/none.so"}}, True),
        ({"env": {"LANG": "C"}}, True),
    ],
    ids=str,
)
def test_which_agents_start_warm(client: CloveClient, script: Any, fields: Any, warm: bool) -> None:
    reply = client.spawn("one", script(TELL.format("os.environ.copy()")), **fields)
    assert reply["warm"] is warm
    environ = printed(client, reply)
    for name, text in fields.get("env", {}).items():
        assert environ[name].startswith(text)


@pytest.mark.parametrize("warm", [True, False])
def test_a_client_in_a_warm_agent_knows_its_socket_whatever_the_environment_was_to_say(
    client: CloveClient, script: Any, warm: bool
) -> None:
    reply = client.spawn("known", script(KNOWN), env={"CLOVE_SOCKET": "/workspace/no"}, warm=warm)
    mounted = "/tmp/clove.sock" if warm else None
    assert printed(client, reply) == [mounted, "/tmp/clove.sock"]


def test_another_interpreter_is_executed_in_a_forked_process(
    client: CloveClient, script: Any
) -> None:
    reply = client.spawn("one", script(TELL.format("sys.executable")), python="/usr/bin/python3")
    assert reply["warm"] is True
    assert printed(client, reply) == "/usr/bin/python3"


def test_an_archive_starts_cold(client: CloveClient, kernel: KernelProcess) -> None:
    path = Path(kernel.directory, "archive.py")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", TELL.format("__name__"))
    reply = client.spawn("one", str(path))
    assert reply["warm"] is False
    assert printed(client, reply) == "__main__"


def test_a_restart_is_warm_too_and_keeps_the_workspace(client: CloveClient, script: Any) -> None:
    path = script(
        "import os, sys\n"
        "again = os.path.exists('mark')\n"
        "open('mark', 'a').close()\n"
        "print('again' if again else 'first', len(os.listdir('/proc/self/fd')), flush=True)\n"
        "sys.exit(0 if again else 1)\n"
    )
    reply = client.spawn("one", path, restart_policy="on-failure", max_restarts=1)
    assert reply["warm"]
    ended = client.wait(reply["id"], timeout=PATIENCE)
    assert (ended["exit_code"], ended["restarts"]) == (0, 1)
    texts = [line["text"] for line in client.logs(reply["id"])["lines"]]
    assert texts == ["first 4", "again 4"]


def test_the_zygote_has_no_user_and_no_secrets(client: CloveClient, kernel: KernelProcess) -> None:
    pid = zygote_of(kernel)
    status = Path(f"/proc/{pid}/status").read_text()
    rows = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert rows["Uid"].split()[0] != "0"
    for kind in ("user", "mnt", "net", "ipc", "uts"):
        assert os.stat(f"/proc/{pid}/ns/{kind}").st_ino != os.stat(f"/proc/self/ns/{kind}").st_ino
    assert not os.path.exists(f"/proc/{pid}/root/{kernel.directory}")


def test_a_spawn_that_is_refused_leaves_no_child(
    client: CloveClient, kernel: KernelProcess, script: Any
) -> None:
    granted = {"allowed_read_paths": [f"{kernel.directory}/no-such-file"]}
    with pytest.raises(InvalidRequest):
        client.spawn("one", script(SLEEP), permissions=granted)
    end = time.monotonic() + PATIENCE
    while len(children(zygote_of(kernel))) > PREFORKED:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_agents_outlive_the_zygote_and_the_next_ones_start_cold_until_there_is_another(
    own_kernel: KernelProcess,
) -> None:
    path = Path(own_kernel.directory, "agent.py")
    path.write_text(SLEEP)
    with CloveClient(own_kernel.socket) as client:
        first = until_warm(client, str(path))
        until_up(client, first["name"])
        zygote = zygote_of(own_kernel)
        os.kill(zygote, signal.SIGKILL)
        assert client.spawn("next", str(path))["id"]
        again = until_warm(client, str(path), unlike=zygote)
        assert zygote_of(own_kernel) not in (0, zygote)
        states = {agent["id"]: agent["state"] for agent in client.list_agents()}
        assert states[first["id"]] == states[again["id"]] == "running"
        client.kill(first["id"])
        assert "no zygote" in own_kernel.log


def test_the_first_spawn_after_a_start_waits_for_the_zygote(own_kernel: KernelProcess) -> None:
    path = Path(own_kernel.directory, "agent.py")
    path.write_text(SLEEP)
    for _ in range(5):  # a zygote that is not ready within a second is waited for no longer
        own_kernel.stop()
        own_kernel.start()
        with CloveClient(own_kernel.socket) as client:
            if client.spawn("first", str(path))["warm"]:
                return
    raise AssertionError("the first agents start cold")


def test_no_process_outlives_a_kernel_that_is_killed(own_kernel: KernelProcess) -> None:
    path = Path(own_kernel.directory, "agent.py")
    path.write_text(SLEEP)
    with CloveClient(own_kernel.socket) as client:
        reply = until_warm(client, str(path))
        pids = [zygote_of(own_kernel), reply["pid"]]
    own_kernel.stop(signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)
    own_kernel.start()  # which takes away what a dead one cannot: its cgroups


def test_preloaded_modules_are_there_and_one_that_cannot_be_is_named() -> None:
    config = '[zygote]\npreload = ["decimal", "no_such_module"]\n'
    with running_kernel(config) as kernel, CloveClient(kernel.socket) as client:
        path = Path(kernel.directory, "agent.py")
        path.write_text(LOADED)
        loaded = printed(client, until_warm(client, str(path)))
        assert {"decimal", "clove.client.blocking"} <= set(loaded)
        assert "no_such_module cannot be imported: ModuleNotFoundError" in kernel.log
        cold = printed(client, client.spawn("cold", str(path), warm=False))
        assert "decimal" not in cold


@contextlib.contextmanager
def preloading(module: str, text: str) -> Iterator[KernelProcess]:
    """A kernel whose zygote loads a module, which is where the interpreter has its own."""
    name = f"clove_test_{module}"
    place = Path(os.path.dirname(os.__file__), f"{name}.py")
    if not os.access(place.parent, os.W_OK):
        pytest.skip("the interpreter's modules are not ours to add to")
    place.write_text(text)
    try:
        with running_kernel(f'[zygote]\npreload = ["{name}"]\n') as kernel:
            yield kernel
    finally:
        place.unlink()


def until_logged(kernel: KernelProcess, said: str) -> None:
    end = time.monotonic() + PATIENCE
    while said not in kernel.log:
        assert time.monotonic() < end, kernel.log
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        (
            "starts",
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(1e6,), daemon=True, name='busy').start()\n",
            "has started threads: busy",
        ),
        ("holds", "held = open('/etc/passwd')\n", "holds descriptors"),
    ],
)
def test_a_module_that_would_break_in_a_fork_is_told_and_agents_start_cold(
    module: str, text: str, said: str
) -> None:
    with preloading(module, text) as kernel, CloveClient(kernel.socket) as client:
        path = Path(kernel.directory, "agent.py")
        path.write_text(TELL.format("'ran'"))
        until_logged(kernel, said)
        reply = client.spawn("one", str(path))
        assert reply["warm"] is False
        assert printed(client, reply) == "ran"


def test_what_a_module_prints_is_logged_by_lines() -> None:
    text = "import sys\nfor letter in 'said in pieces\\nand on':\n    sys.stderr.write(letter)\n"
    with preloading("prints", text) as kernel:
        until_logged(kernel, "zygote: said in pieces\n")


def test_after_so_many_forks_there_is_another_one_with_another_hash_seed() -> None:
    with running_kernel("[zygote]\nrenew_after = 3\n") as kernel:
        path = Path(kernel.directory, "agent.py")
        path.write_text(HASH)
        with CloveClient(kernel.socket) as client:
            first = printed(client, until_warm(client, str(path)))
            zygote = zygote_of(kernel)
            end = time.monotonic() + PATIENCE
            while zygote_of(kernel) in (0, zygote) or os.path.exists(f"/proc/{zygote}"):
                printed(client, client.spawn("another", str(path)))
                assert time.monotonic() < end
            assert printed(client, until_warm(client, str(path))) != first


def test_it_can_be_switched_off() -> None:
    with running_kernel("[zygote]\nenabled = false\n") as kernel:
        path = Path(kernel.directory, "agent.py")
        path.write_text(HASH)
        with CloveClient(kernel.socket) as client:
            assert client.spawn("one", str(path))["warm"] is False
        assert zygote_of(kernel) == 0


BESIDE_COMMANDS = """
import json, os, signal
from clove import CloveClient

client = CloveClient()
heard = []
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
names = sorted(os.listdir("/proc/self/ns"))
ours = [os.readlink(f"/proc/self/ns/{name}") for name in names]
listed = client.exec("for each in /proc/self/ns/*; do readlink $each; done")["stdout"].split()
client.exec(f"kill -USR1 {os.getpid()}")
stream = client.exec_stream("echo $$; exec sleep 600")
os.kill(int(next(stream)[1]), signal.SIGTERM)
list(stream)
print(json.dumps([listed == ours, heard, stream.result["exit_code"]]))
"""


@pytest.mark.parametrize("warm", [True, False])
def test_the_main_program_and_commands_live_together(
    client: CloveClient, script: Any, warm: bool
) -> None:
    reply = client.spawn("one", script(BESIDE_COMMANDS), warm=warm)
    assert reply["warm"] is warm
    assert printed(client, reply) == [True, [signal.SIGUSR1], 128 + signal.SIGTERM]
