"""The shipped units (deploy/systemd), started by a real systemd: of the system, and of an ordinary user."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from tests.vm.conftest import PATIENCE, PROGRAMS, ROOT, answers, output, until, users_own_unit

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SOCKET = "/run/clove/clove.sock"
CONFIG = Path("/etc/clove/clove.toml")
TESTER = users_own_unit().manager
SLOW = f"[limits.launch]\nlaunch_timeout = {PATIENCE}\n"
"""The guest is."""
LONG = "import time\ntime.sleep(1000)\n"


def show(unit: str, name: str) -> str:
    """A property of a unit of the system."""
    return output("systemctl", "show", "--value", f"--property={name}", unit).strip()


def start(*units: str) -> None:
    """Start units; what they say, if they do not."""
    done = subprocess.run(
        ["systemctl", "start", *units], capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = [word for unit in units for word in ("-u", unit)]
        pytest.fail(
            done.stderr + output("journalctl", "--no-pager", "-o", "cat", "-n", "30", *words)
        )


def is_active(unit: str) -> bool:
    return show(unit, "ActiveState") == "active"


def entries(identifier: str) -> list[dict[str, Any]]:
    """What the journal has of a daemon itself."""
    words = ("journalctl", "--no-pager", "-o", "json", "-t", identifier)
    return [json.loads(line) for line in output(*words).splitlines()]


def place(kind: str, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in (UNITS / kind).iterdir():
        shutil.copy(path, target / path.name)


@pytest.fixture(scope="module", autouse=True)
def installed() -> Iterator[None]:
    """Everything as the bundle's `install` places it; the programs are the guest's."""
    own = Path("/home/tester/.local/share/clove")
    for prefix in (Path("/opt/clove"), own):
        prefix.mkdir(parents=True)
        (prefix / "current").symlink_to(PROGRAMS.parent)
    place("system", Path("/etc/systemd/system"))
    place("user", Path("/etc/systemd/user"))
    output("systemd-sysusers", str(UNITS / "sysusers.d/clove.conf"))
    output("systemd-tmpfiles", "--create", str(UNITS / "tmpfiles.d/clove.conf"))
    settings = Path("/home/tester/.config/clove")
    settings.mkdir(parents=True)
    for path in (CONFIG, settings / "clove.toml"):
        path.write_text(SLOW)
    output("chown", "-R", "tester:tester", "/home/tester")
    output("systemctl", "daemon-reload")
    output(*TESTER, "systemctl", "--user", "daemon-reload")
    yield
    names = [path.name for path in (UNITS / "user").iterdir()]
    as_tester("systemctl", "--user", "stop", *names)
    for path in (UNITS / "user").iterdir():  # other tests have transient units of these names
        (Path("/etc/systemd/user") / path.name).unlink()
    output(*TESTER, "systemctl", "--user", "daemon-reload")


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    units = ("clove-kernel", "clove-relay", "clove-tunnel")
    output("systemctl", "stop", "clove-kernel.socket", *(f"{name}.service" for name in units))
    cgroups = [ROOT / f"system.slice/{name}.service" for name in units]
    until(lambda: not any(map(Path.exists, cgroups)), "their cgroups are removed")


def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`clove`, as root."""
    return subprocess.run(
        [str(PROGRAMS / "clove"), *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, **more},
    )


def test_the_first_that_connects_starts_the_kernel_and_a_stop_leaves_no_agent() -> None:
    output("systemctl", "start", "clove-kernel.socket")
    assert not is_active("clove-kernel.service")
    with CloveClient(SOCKET) as client:
        assert client.noop(b"x") == b"x"
    until(lambda: is_active("clove-kernel.service"), "the kernel has said that it is ready")
    kernel = int(show("clove-kernel.service", "MainPID"))
    assert os.readlink(f"/proc/{kernel}/ns/mnt") == os.readlink("/proc/1/ns/mnt")
    done = run("run", "--memory", "64M", "--", "cat", "/proc/self/cgroup")
    assert done.returncode == 0, done.stderr
    script = Path("/tmp/long.py")
    script.write_text(LONG)
    assert run("run", "--detach", "--name", "long", str(script)).returncode == 0
    until(lambda: "agents: 1" in show("clove-kernel.service", "StatusText"), "its status")
    base = ROOT / show("clove-kernel.service", "ControlGroup").strip("/")
    processes = [
        int(word) for path in base.rglob("cgroup.procs") for word in path.read_text().split()
    ]
    assert len(processes) > 1
    output("systemctl", "stop", "clove-kernel.service")
    until(lambda: not base.exists(), "its cgroup is removed")
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "all are reaped")
    assert answers(SOCKET), "systemd listens still, and starts it again"


def test_a_configuration_that_is_wrong_is_a_start_that_failed() -> None:
    with contextlib.ExitStack() as undo:
        undo.callback(CONFIG.write_text, SLOW)
        CONFIG.write_text("nonsense = 1\n")
        done = subprocess.run(
            ["systemctl", "start", "clove-kernel"], capture_output=True, check=False
        )
        assert done.returncode
        assert "nonsense" in entries("clove-kernel")[-1]["MESSAGE"]
        assert not answers(SOCKET)


def check_fields(said: list[dict[str, Any]]) -> None:
    [last] = [each for each in said if each["CLOVE_EVENT"] == "clove-kernel answers on {paths}"][
        -1:
    ]
    assert last["MESSAGE"] == f"clove-kernel answers on {SOCKET}, /tmp/clove.sock"
    assert last["PRIORITY"] == "6"
    assert last["CLOVE_PART"] == "clove.kernel.service.KernelService"
    assert last["_SYSTEMD_UNIT"] == "clove-kernel.service"


def test_a_kernel_that_hangs_is_ended_with_its_agents_and_another_serves() -> None:
    drop_in = Path("/run/systemd/system/clove-kernel.service.d/watchdog.conf")
    drop_in.parent.mkdir(parents=True)
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, drop_in.parent)
        drop_in.write_text("[Service]\nWatchdogSec=8\n")
        output("systemctl", "daemon-reload")
        output("systemctl", "start", "clove-kernel.service")  # returns when it is ready
        assert answers(SOCKET)
        check_fields([each for each in entries("clove-kernel") if "CLOVE_EVENT" in each])
        assert run("run", "--detach", "--name", "long", "/tmp/long.py").returncode == 0
        first = int(show("clove-kernel.service", "MainPID"))
        os.kill(first, signal.SIGSTOP)
        until(lambda: show("clove-kernel.service", "NRestarts") == "1", "systemd starts another")
        until(lambda: is_active("clove-kernel.service"), "it is ready")
        assert int(show("clove-kernel.service", "MainPID")) != first
        with CloveClient(SOCKET) as client:
            assert client.list_agents() == []
        shown = output("journalctl", "--no-pager", "-o", "cat", "-u", "clove-kernel")
        assert "Watchdog timeout" in shown
        assert "Fatal Python error: Aborted" in shown, "where it was is not told"
    output("systemctl", "daemon-reload")


FIRST_TOKEN = "/var/lib/clove-relay/admin-token"
CALLERS = "/run/clove/callers.sock"


def prepare_to_join() -> str:
    """Start a relay, and place what the kernel's unit and the tunnel's need to join it; gives the join token."""
    start("clove-relay.service")
    until(lambda: os.path.exists(FIRST_TOKEN), "the relay's first token")
    facts = os.stat(FIRST_TOKEN)
    assert (facts.st_mode & 0o777, facts.st_uid == 0) == (0o600, False)
    CONFIG.write_text(f'{SLOW}[remote]\nsocket = "{CALLERS}"\ntunnel_user = "clove-tunnel"\n')
    Path("/etc/clove/tunnel.toml").write_text(
        f'relay_url = "ws://127.0.0.1:8765"\nmachine_id = "guest"\nkernel_socket = "{CALLERS}"\n'
    )
    joined = run("machines", "join", "guest", "--json", "--token-file", FIRST_TOKEN)
    assert joined.returncode == 0, joined.stderr
    token = str(json.loads(joined.stdout)["token"])
    secret = Path("/etc/credstore/clove.join")
    secret.parent.mkdir(mode=0o700, exist_ok=True)
    secret.write_text(token)
    secret.chmod(0o600)
    return token


def wait_for_tunnel() -> None:
    until(lambda: show("clove-tunnel", "StatusText").startswith("connected to"), "it has joined")


def test_an_agent_runs_on_a_machine_that_has_joined_by_a_credential() -> None:
    with contextlib.ExitStack() as undo:
        undo.callback(CONFIG.write_text, SLOW)
        token = prepare_to_join()
        start("clove-kernel.service", "clove-tunnel.service")
        wait_for_tunnel()
        uid = pwd.getpwnam("clove-tunnel").pw_uid
        assert os.stat(f"/proc/{show('clove-tunnel', 'MainPID')}").st_uid == uid
        facts = os.stat(CALLERS)
        assert (facts.st_uid, facts.st_mode & 0o777) == (uid, 0o600)
        hello = Path("/tmp/hello.py")
        hello.write_text("print('hello')\n")
        done = run("agent", "run", "--machine", "guest", "--token-file", FIRST_TOKEN, str(hello))
        assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
        start_again = ("systemctl", "restart", "clove-tunnel.service")
        output(*start_again)  # the token is used up: now it is known by its key
        wait_for_tunnel()
        output("systemctl", "reload", "clove-relay.service")
        assert is_active("clove-relay.service")
        assert show("clove-relay", "StatusText") == "machines: 1, remote agents: 0"
        assert token not in json.dumps(entries("clove-tunnel"))
        assert Path(FIRST_TOKEN).read_text().strip() not in json.dumps(entries("clove-relay"))


def as_tester(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TESTER, *words], capture_output=True, text=True, check=False, cwd="/tmp"
    )


def test_a_users_relay_is_a_service_and_its_token_becomes_a_context() -> None:
    clove = str(PROGRAMS / "clove")
    done = as_tester(clove, "relay", "up", "--timeout", str(PATIENCE))
    assert "(service clove-relay)" in done.stdout, done.stderr
    assert "in your context `local`" in done.stderr
    assert as_tester(clove, "relay", "backup", "/tmp/relay.tar").returncode == 0
    assert as_tester(clove, "tokens", "list").returncode == 0
    assert as_tester(clove, "relay", "down").returncode == 0
    assert as_tester(clove, "relay", "status").returncode == 1


def test_a_users_kernel_starts_at_its_socket_and_down_ends_it_and_not_systemd() -> None:
    clove = str(PROGRAMS / "clove")
    manager = output("systemctl", "show", "--value", "--property=MainPID", "user@1000")
    done = as_tester(clove, "up", "--timeout", str(PATIENCE))
    assert "(service clove-kernel)" in done.stdout, done.stderr
    path = as_tester("systemctl", "--user", "show", "--value", "-p", "FragmentPath", "clove-kernel")
    assert path.stdout.strip().endswith("/systemd/user/clove-kernel.service")
    assert as_tester(clove, "down").returncode == 0
    state = ("systemctl", "--user", "is-active", "clove-kernel")
    until(lambda: as_tester(*state).stdout.strip() == "inactive", "its unit has ended")
    assert as_tester("systemctl", "--user", "start", "clove-kernel.socket").returncode == 0
    until(lambda: as_tester(clove, "ps").returncode == 0, "the first that connects has started it")
    done = as_tester(clove, "run", "--memory", "64M", "--", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert as_tester(clove, "up").stdout.startswith("a kernel runs already")
    done = as_tester(clove, "down")
    assert "systemctl --user stop clove-kernel.socket" in done.stderr
    assert as_tester("systemctl", "--user", "stop", "clove-kernel.socket").returncode == 0
    assert as_tester(clove, "ps").returncode == 1
    assert output("systemctl", "show", "--value", "--property=MainPID", "user@1000") == manager
