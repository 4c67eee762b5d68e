"""`clove run` passes on what its agent writes: every byte, in order, as it comes, and no faster."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from clove import CloveClient
from tests.adversary.isolated import unprivileged_python
from tests.integration.conftest import BOTH, KernelProcess, running_kernel
from tests.integration.exposed import Host, OrdinaryKernel, kill_all
from tests.waiting import until

CLOVE = str(Path(sys.executable).with_name("clove"))
FLOOD = "import sys\nfor n in range(20_000): sys.stdout.write(f'{n:07}' + 'x' * 992 + '\\n')\n"
FLOODED = b"".join(b"%07d" % n + b"x" * 992 + b"\n" for n in range(20_000))
_numbers = itertools.count()


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    yield kernel_host
    kill_all(kernel_host.client)


class Run:
    """A `clove run` under way."""

    def __init__(self, kernel: KernelProcess, text: str, *options: str, **files: Any) -> None:
        self.name = f"runs-{next(_numbers)}"
        project = Path(kernel.directory, "files", self.name)
        project.mkdir(parents=True)
        script = project / "main.py"
        script.write_text(text)
        command = [CLOVE, "--socket", kernel.socket, "run", "--name", self.name, *options]
        if isinstance(kernel, OrdinaryKernel):  # the tests' own may be root's alone
            command += ["--python", unprivileged_python()]
        files = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **files,
        }
        self.process = subprocess.Popen(
            [*command, str(script)],
            cwd=project,
            env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
            **files,
        )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        with self.process:
            if self.process.poll() is None:
                self.process.kill()

    @property
    def out(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def err(self) -> IO[bytes]:
        assert self.process.stderr is not None
        return self.process.stderr

    def all(self) -> tuple[bytes, bytes, int]:
        """All that it prints, and its exit code."""
        out, err = self.process.communicate(timeout=60)
        return out, err, self.process.returncode


def said(host_: Host, name: str, size: int) -> bool:
    """Whether the kernel has so many bytes of an agent's output."""
    agents = {agent["name"] for agent in host_.client.list_agents()}
    return name in agents and int(host_.client.read_output(name)["next"]) >= size


@BOTH
def test_bytes_stay_what_they_are(here: Host, sandboxed: bool) -> None:
    text = "import os\nos.write(1, b'\\xff\\xfe\\0\\r\\x1b[2Jend')\nos.write(2, b'\\xfferr')\n"
    with Run(here.kernel, text, *([] if sandboxed else ["--unsandboxed"])) as run:
        assert run.all() == (b"\xff\xfe\0\r\x1b[2Jend", b"\xfferr", 0)


def test_a_long_line_stays_one(here: Host) -> None:
    with Run(here.kernel, "print('[' + '1, ' * 100_000 + '1]')") as run:
        out, _, _ = run.all()
    assert len(json.loads(out)) == 100_001


def test_each_piece_comes_before_the_next_is_written(here: Host) -> None:
    text = (
        "import os\nfrom clove import CloveClient\nclient = CloveClient()\n"
        "for n in range(3):\n  os.write(1, b'tok ')\n  client.recv_messages(wait=60)\n"
    )
    with Run(here.kernel, text) as run:
        for _ in range(3):
            assert os.read(run.out.fileno(), 99) == b"tok "
            here.client.send_message("go on", to_name=run.name)
        assert run.all() == (b"", b"", 0)


@BOTH
def test_a_slow_reader_gets_everything(here: Host, sandboxed: bool) -> None:
    with Run(here.kernel, FLOOD, *([] if sandboxed else ["--unsandboxed"])) as run:
        until(lambda: said(here, run.name, 256 << 10), "the agent has written what fits")
        out, err, code = run.all()
    assert (hashlib.sha256(out).digest(), err, code) == (
        hashlib.sha256(FLOODED).digest(),
        b"",
        0,
    )


def test_a_program_is_passed_on_as_if_it_ran_by_itself(here: Host) -> None:
    words = ["seq", "1", "300000"]
    plain = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    command = [CLOVE, "--socket", here.kernel.socket, "run", "--name", "counts", "--", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        until(lambda: said(here, "counts", 256 << 10), "it has written what fits")
        assert first + process.stdout.read() == plain
    assert process.returncode == 0


def test_an_agent_waits_for_a_reader_that_does_not_read(here: Host) -> None:
    with Run(here.kernel, FLOOD + "open('/workspace/all', 'w').close()\n") as run:
        until(lambda: said(here, run.name, 256 << 10), "the agent has written what fits")
        before = 0
        while (now := int(here.client.read_output(run.name)["next"])) != before:
            before = now
            here.client.recv_messages(wait=0.2)
        assert before < 2 << 20
        assert here.client.list_agents()


def test_stderr_passes_while_stdout_is_not_read(here: Host) -> None:
    text = (
        "import os, threading, time\n"
        "threading.Thread(target=lambda: os.write(1, b'x' * (4 << 20))).start()\n"
        "time.sleep(0.2)\nos.write(2, b'free')\n"
    )
    with Run(here.kernel, text) as run:
        assert os.read(run.err.fileno(), 99) == b"free"
        assert run.all() == (b"x" * (4 << 20), b"", 0)


def test_a_reader_that_goes_away_ends_the_agent_as_in_a_pipeline(here: Host) -> None:
    text = (
        "import signal, os\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "while True: os.write(1, b'y\\n')\n"
    )
    with Run(here.kernel, text) as run:
        assert run.out.read(2) == b"y\n"
        run.out.close()
        assert run.process.wait(30) == 128 + signal.SIGPIPE
        assert run.err.read() == b""


def test_an_agent_that_would_be_started_again_is_ended_with_its_reader(here: Host) -> None:
    with Run(here.kernel, "while True: print('y')\n", "--restart", "always") as run:
        assert run.out.read(2) == b"y\n"
        run.out.close()
        run.process.wait(30)
    assert run.name not in {agent["name"] for agent in here.client.list_agents()}


def test_output_goes_on_over_a_restart(here: Host) -> None:
    text = (
        "import os, sys\nprint('run', flush=True)\n"
        "sys.exit(os.path.exists('again') or open('again', 'w').close() or 3)\n"
    )
    with Run(here.kernel, text, "--restart", "on-failure") as run:
        line = run.out.readline() + run.out.readline()
        here.client.kill(run.name)
        assert line == b"run\nrun\n"


def test_an_onlooker_sees_the_same_meanwhile(here: Host) -> None:
    text = (
        "from clove import CloveClient\nprint('one', flush=True)\n"
        "CloveClient().recv_messages(wait=60)\nprint('two')\n"
    )
    with Run(here.kernel, text) as run:
        assert run.out.readline() == b"one\n"
        command = [CLOVE, "--socket", here.kernel.socket, "logs", "-f", run.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as logs:
            assert logs.stdout is not None
            assert logs.stdout.readline() == b"one\n"
            here.client.send_message("go on", to_name=run.name)
            assert logs.stdout.read() == b"two\n"
        assert run.all() == (b"two\n", b"", 0)


def test_an_agent_outlives_a_command_that_is_killed(here: Host) -> None:
    text = (
        "from clove import CloveClient\nprint('up', flush=True)\nclient = CloveClient()\n"
        "client.recv_messages(wait=60)\n" + FLOOD + "client.store('done', 1)\n"
    )
    with Run(here.kernel, text) as run:
        assert run.out.readline() == b"up\n"
        run.process.kill()
        run.process.wait(30)
        here.client.send_message("go on", to_name=run.name)
        until(lambda: here.client.fetch("done")["exists"], "the agent has come to its end")


def test_files_get_it_too(here: Host, tmp_path: Path) -> None:
    for mode in ("wb", "ab"):
        with open(tmp_path / "out", mode) as out, Run(here.kernel, FLOOD, stdout=out) as run:
            assert run.all()[2] == 0
    assert (tmp_path / "out").read_bytes() == FLOODED * 2


def test_both_streams_get_into_one_file(here: Host, tmp_path: Path) -> None:
    """As in `> log 2>&1`: both have one position in it."""
    text = "import os\nfor n in range(9000): os.write(1 + n % 2, b'%05d\\n' % n)\n"
    with open(tmp_path / "log", "wb") as log, Run(here.kernel, text, stdout=log, stderr=log) as run:
        assert run.all()[2] == 0
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert sorted(map(int, lines)) == list(range(9000))


def test_machines_get_pieces_that_are_lines(here: Host) -> None:
    with Run(here.kernel, "print('a\\nb', end='')", "--json") as run:
        lines = [json.loads(line) for line in run.all()[0].splitlines()]
    assert [(line.get("text"), line.get("partial")) for line in lines[1:-1]] == [
        ("a", False),
        ("b", True),
    ]


def test_an_agent_can_run_another_and_loses_none_of_its_output(here: Host) -> None:
    inner = Path(here.kernel.directory, "files", f"inner-{next(_numbers)}", "main.py")
    inner.parent.mkdir()
    inner.write_text(FLOOD)
    text = (
        "import os, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from clove.cli.main import main\n"
        f"main(['--socket', os.environ['CLOVE_SOCKET'], 'run', {str(inner)!r}])\n"
    )
    with Run(here.kernel, text, "--unsandboxed", "--level", "unrestricted") as run:
        out, err, code = run.all()
    assert (len(out), err, code) == (len(FLOODED), b"", 0)
    assert out == FLOODED


def test_a_kernel_that_is_killed_is_no_good_end() -> None:
    with (
        running_kernel() as kernel,
        CloveClient(kernel.socket),
        Run(kernel, "import time\nprint('up', flush=True)\ntime.sleep(100)\n") as run,
    ):
        assert run.out.readline() == b"up\n"
        kernel.stop(signal.SIGKILL)
        out, err, code = run.all()
        assert (out, code) == (b"", 1)
        assert err.startswith(b"clove: ")
        kernel.start()  # which takes away what a dead one cannot: its cgroups
