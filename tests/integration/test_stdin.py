"""What an agent reads: nothing, a text, or a stream as slow as it reads."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import InvalidRequest, Unavailable
from tests.integration.exposed import Host, kill_all
from tests.integration.test_run_output import Run
from tests.waiting import until

READS = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())\n"
COUNTS = (
    "import hashlib, sys\ndigest, size = hashlib.sha256(), 0\n"
    "while data := sys.stdin.buffer.read(1 << 16):\n  digest.update(data)\n  size += len(data)\n"
    "print(size, digest.hexdigest())\n"
)
MUCH = os.urandom(1 << 20) * 8
COUNTED = f"{len(MUCH)} {hashlib.sha256(MUCH).hexdigest()}\n".encode()
WAYS = pytest.mark.parametrize(
    "way",
    [{}, {"warm": False}, {"sandboxed": False}],
    ids=["warm", "cold", "unsandboxed"],
)
_numbers = itertools.count()


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    yield kernel_host
    kill_all(kernel_host.client)


def spawn(here: Host, text: str, **fields: Any) -> int:
    name = f"reads-{next(_numbers)}"
    script = Path(here.kernel.directory, f"{name}.py")
    script.write_text(text)
    return int(here.client.spawn(name, str(script), **fields)["id"])


def output(client: CloveClient, agent: int) -> bytes:
    """All that an agent has written when it has ended."""
    client.wait(agent, timeout=30)
    return client.read_output(agent)["data"]


@WAYS
def test_nothing_is_read_by_default(here: Host, way: dict[str, Any]) -> None:
    assert output(here.client, spawn(here, READS, **way)) == b""


@WAYS
def test_a_text_is_read_at_each_start(here: Host, way: dict[str, Any]) -> None:
    text = "import os, sys\nprint(sys.stdin.read(), flush=True)\nos.kill(os.getpid(), 9)\n"
    again = {"restart_policy": "on-failure", "max_restarts": 1}
    agent = spawn(here, text, stdin={"text": "käse"}, **again, **way)
    until(lambda: here.client.read_output(agent)["next"] >= 12, "it has run twice")
    assert here.client.read_output(agent)["data"] == "käse\n".encode() * 2


@WAYS
def test_a_stream_is_read_to_its_end(here: Host, way: dict[str, Any]) -> None:
    agent = spawn(here, READS, stdin="stream", **way)
    assert here.client.write_input(b"\xff\0one ", agent)["accepted"] == 6
    here.client.write_input(b"two", agent)
    here.client.close_stream("stdin", agent)
    assert output(here.client, agent) == b"\xff\0one two"


@WAYS
def test_much_is_read_by_one_who_takes_its_time(here: Host, way: dict[str, Any]) -> None:
    agent = spawn(here, COUNTS, stdin="stream", **way)
    for at in range(0, len(MUCH), 1 << 19):
        here.client.write_input(MUCH[at : at + (1 << 19)], agent)
    here.client.close_stream("stdin", agent)
    assert output(here.client, agent) == COUNTED


def test_a_write_waits_until_the_agent_reads(here: Host) -> None:
    agent = spawn(
        here,
        "from clove import CloveClient\nimport sys\nCloveClient().recv_messages(wait=60)\n"
        + COUNTS,
        stdin="stream",
    )
    with CloveClient(here.kernel.socket, timeout=20) as other:
        other.write_input(b"x" * 1000, agent)
        assert other.list_agents()
    here.client.send_message("go on", to=agent)
    here.client.close_stream("stdin", agent)
    assert output(here.client, agent).startswith(b"1000 ")


def test_what_an_agent_does_not_read_fails_when_it_ends(here: Host) -> None:
    agent = spawn(here, "import time\ntime.sleep(0.5)\n", stdin="stream")
    with pytest.raises(Unavailable, match=r"nothing reads|ended"):
        here.client.write_input(b"x" * 500_000, agent)


def test_a_stream_lasts_over_a_restart(here: Host) -> None:
    agent = spawn(
        here,
        "import sys\nline = sys.stdin.buffer.raw.read(4)\nprint(line, flush=True)\n"
        "sys.exit(line != b'two\\n')\n",
        stdin="stream",
        restart_policy="on-failure",
    )
    here.client.write_input(b"one\ntwo\n", agent)
    assert output(here.client, agent) == b"b'one\\n'\nb'two\\n'\n"


@WAYS
def test_it_can_be_opened_by_its_name(here: Host, way: dict[str, Any]) -> None:
    agent = spawn(here, "print(open('/dev/stdin').read())", stdin={"text": "named"}, **way)
    assert output(here.client, agent) == b"named\n"


def test_an_agent_that_reads_starts_warm(here: Host) -> None:
    script = Path(here.kernel.directory, "warm.py")
    script.write_text(READS)
    until(
        lambda: here.client.spawn(f"warm-{next(_numbers)}", str(script), stdin="stream")["warm"],
        "the zygote is ready",
    )


def test_without_a_stream_there_is_nothing_to_write_to(here: Host) -> None:
    agent = spawn(here, "import time\ntime.sleep(60)\n")
    with pytest.raises(Unavailable, match="no stream"):
        here.client.write_input(b"x", agent)
    assert here.client.close_stream("stdin", agent)["closed"]


@pytest.mark.parametrize("stdin", ["strem", {"txt": "x"}, {"text": 3}, 7])
def test_a_stdin_that_makes_no_sense_is_refused(here: Host, stdin: Any) -> None:
    with pytest.raises(InvalidRequest, match="stdin"):
        spawn(here, READS, stdin=stdin)


def run(here: Host, text: str, *options: str, **files: Any) -> Run:
    return Run(here.kernel, text, *options, **files)


@pytest.mark.parametrize("options", [(), ("--cold",), ("--unsandboxed",)], ids=str)
def test_run_passes_a_pipe_on(here: Host, options: tuple[str, ...]) -> None:
    with run(here, COUNTS, *options, stdin=subprocess.PIPE) as one:
        out, err = one.process.communicate(MUCH, timeout=60)
    assert (out, err, one.process.returncode) == (COUNTED, b"", 0)


def test_run_passes_a_file_on(here: Host, tmp_path: Path) -> None:
    (tmp_path / "much").write_bytes(MUCH)
    with open(tmp_path / "much", "rb") as file, run(here, COUNTS, stdin=file) as one:
        assert one.all() == (COUNTED, b"", 0)


def test_run_ends_with_its_agent_whatever_is_left_to_read(here: Host) -> None:
    with run(here, "print(input())", stdin=subprocess.PIPE) as one:
        assert one.process.stdin is not None
        one.process.stdin.write(b"first\n")
        one.process.stdin.flush()
        assert one.process.wait(30) == 0
        assert one.out.read() == b"first\n"


def test_a_prompt_is_answered(here: Host) -> None:
    with run(here, "print('hello', input('name? '))", stdin=subprocess.PIPE) as one:
        assert one.process.stdin is not None
        assert os.read(one.out.fileno(), 100) == b"name? "
        one.process.stdin.write(b"bee\n")
        one.process.stdin.flush()
        assert one.out.read() == b"hello bee\n"


def test_a_detached_agent_reads_nothing(here: Host) -> None:
    with run(here, READS, "--detach", stdin=subprocess.PIPE) as one:
        assert one.process.wait(30) == 0
        assert here.client.wait(one.name, timeout=30)["exit_code"] == 0


def test_an_agent_passes_a_pipe_on_to_one_that_it_runs(here: Host) -> None:
    inner = Path(here.kernel.directory, "files", f"stdin-{next(_numbers)}", "main.py")
    inner.parent.mkdir()
    inner.write_text(COUNTS)
    text = (
        "import os, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from clove.cli.main import main\n"
        f"main(['--socket', os.environ['CLOVE_SOCKET'], 'run', {str(inner)!r}])\n"
    )
    options = ("--unsandboxed", "--level", "unrestricted")
    with run(here, text, *options, stdin=subprocess.PIPE) as one:
        out, err = one.process.communicate(MUCH, timeout=60)
    assert (out, err, one.process.returncode) == (COUNTED, b"", 0)
