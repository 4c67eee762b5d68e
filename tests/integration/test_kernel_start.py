"""Starting: what cannot be is said in one line, and what is not needed is not loaded."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from clove import CloveClient, __version__
from tests.conformance.peer import Peer
from tests.integration.conftest import KernelProcess
from tests.integration.zygotes import until_warm


def refused(kernel: KernelProcess, *options: str) -> str:
    """Start it with options; what it said, which must be one line without its time and place."""
    command = [*kernel.command(), *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 1
    said = run.stdout + run.stderr
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if "clove-kernel: " in line]
    assert len(lines) == 1, said
    return lines[0]


def test_a_wrong_configuration_is_one_line(short_dir: str) -> None:
    kernel = KernelProcess(short_dir, "[limits.agents]\nspawns_at_once = 0\n")
    assert "limits.agents.spawns_at_once" in refused(kernel)


@pytest.mark.skipif(find_spec("clove_fast") is not None, reason="clove-fast is installed")
def test_a_compiled_part_that_is_required_and_not_there_is_one_line(short_dir: str) -> None:
    said = refused(KernelProcess(short_dir, 'compiled = "required"\n'))
    assert f"clove-fast is not installed (install clove-fast {__version__}" in said


@pytest.mark.parametrize("name", ["", "x" * 120, "missing/s", "."])
def test_a_socket_that_cannot_be_is_one_line(short_dir: str, name: str) -> None:
    path = f"{short_dir}/{name}" if name else ""
    assert "socket" in refused(KernelProcess(short_dir), "--socket", path)


def test_a_metrics_port_in_use_is_one_line_and_leaves_nothing(short_dir: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        kernel = KernelProcess(short_dir, f"[metrics]\nport = {port}\n")
        assert str(port) in refused(kernel)
    assert not Path(kernel.socket).exists()
    assert sorted(entry.name for entry in Path(kernel.state_dir).iterdir()) == [
        "audit",
        "ids",
        "kernel.lock",
        "logs",
    ]


def test_the_kernel_does_not_load_the_model_library() -> None:
    code = (
        "import sys, clove.kernel.service, clove.kernel.tap\n"
        "print([name for name in sys.modules if name.startswith('google')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert run.stdout.strip() == "[]"


def test_connections_do_not_use_up_the_descriptors(own_kernel: KernelProcess) -> None:
    """Under a low RLIMIT_NOFILE the one too many is told so, and the others go on."""
    own_kernel.stop()
    command = own_kernel.command()
    own_kernel.command = lambda: ["prlimit", "--nofile=128:128", *command]  # type: ignore[method-assign]
    own_kernel.start()
    path = Path(own_kernel.directory, "a")
    path.write_text("content")
    script = Path(own_kernel.directory, "agent.py")
    script.write_text("pass")
    with CloveClient(own_kernel.socket) as client:  # its own beginnings take some, too
        client.wait(until_warm(client, str(script))["id"])
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(own_kernel.socket)) for _ in range(100)]
        for peer in peers:
            with contextlib.suppress(BrokenPipeError):  # closed already; its error can be read
                peer.send(0xFE, b"{}")
        codes = {peer.receive().json().get("code") for peer in peers}
        assert codes == {None, "limit_exceeded"}
        assert peers[0].call(0x03, {"path": str(path)}).json()["content"] == "content"
        assert peers[0].call(0x02, {"command": "echo hi"}).json()["stdout"] == "hi\n"


def test_agents_start_where_the_environment_of_the_kernel_is_reached_by_a_link(
    short_dir: str,
) -> None:
    link = Path(short_dir, "current")
    link.symlink_to(sys.prefix)
    python = f"{link}/bin/{Path(sys.executable).name}"
    kernel = KernelProcess(short_dir, prefix=(python,))
    kernel.start()
    try:
        script = Path(short_dir, "agent.py")
        script.write_text("import sys; print(sys.prefix)")
        with CloveClient(kernel.socket) as client:
            for warm in (True, False):
                agent = client.spawn(f"agent-{warm}", str(script), warm=warm)["id"]
                assert client.wait(agent, timeout=30)["exit_code"] == 0
                assert [line["text"] for line in client.logs(agent)["lines"]] == [
                    os.path.realpath(sys.prefix)
                ]
            client.spawn("named", str(script), python=python)
    finally:
        kernel.stop()
