"""How a kernel ends, what it leaves, and when it does not start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clove import CloveClient
from tests.integration.conftest import (
    SLEEP,
    KernelProcess,
)


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


REFUSED = (
    "from clove import CloveClient\nfrom clove.errors import CloveError\n"
    "with CloveClient() as client:\n"
    "    for _ in range(5):\n"
    "        try:\n"
    "            client.exec('true')\n"
    "        except CloveError:\n"
    "            pass\n"
)


def test_refusals_that_were_only_counted_are_written_at_the_end(own_kernel: KernelProcess) -> None:
    path = Path(own_kernel.directory, "a.py")
    path.write_text(REFUSED)
    with CloveClient(own_kernel.socket) as client:
        agent = client.spawn("refused", str(path), permissions={"can_exec": False})["agent_id"]
        assert client.wait("refused", timeout=30)["exit_code"] == 0
    own_kernel.stop(signal.SIGTERM)
    lines = Path(own_kernel.state_dir, "audit", "security.log").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    denied = [entry for entry in entries if entry["event_type"] == "PERMISSION_DENIED"]
    counted = [entry for entry in entries if entry["event_type"] == "ENTRIES_COUNTED"]
    assert [entry["agent_id"] for entry in denied] == [agent]
    assert [entry["details"]["repeated"] for entry in counted] == [{str(denied[0]["id"]): 4}]


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
    deadline = time.monotonic() + 30
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
