"""Output that cannot be written: it is said in one line, and no command ends as if it had been."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import CLOVE
from tests.integration.exposed import Host, kill_all

FULL = "No space left on device"
ROOM = 65536
MANY = "import sys; sys.stdout.write('x' * 1_000_000)"


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    """A kernel with an agent `beside` that only waits."""
    kernel_host.client.spawn("beside", command=["sleep", "1000"])
    yield kernel_host
    kill_all(kernel_host.client)


def told(
    here: Host,
    *words: str,
    data: str = os.devnull,
    output: str = "/dev/full",
    buffered: bool = True,
) -> str:
    """What a command says on stderr that ends with 1.

    @param data: what its standard input is opened from.
    """
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if not buffered:
        environ["PYTHONUNBUFFERED"] = "1"
    with open(data, "rb", buffering=0) as source, open(output, "wb") as full:
        ran = subprocess.run(
            [CLOVE, "--socket", here.kernel.socket, *words],
            stdin=source,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environ,
        )
    assert ran.returncode == 1
    return ran.stderr


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    "words",
    [
        ["ps"],
        ["ps", "--json"],
        ["ps", "-q"],
        ["inspect", "beside"],
        ["ls", "beside:/etc"],
        ["cat", "beside:/etc/passwd"],
        ["audit"],
        ["--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_a_list_that_cannot_be_written_is_one_line(
    here: Host, words: list[str], buffered: bool
) -> None:
    said = told(here, *words, buffered=buffered)
    assert said == f"clove: standard output cannot be written: {FULL}\n"


def test_what_a_program_prints_is_not_lost_in_silence(here: Host) -> None:
    said = told(here, "exec", "beside", "--", "echo", "hi")
    assert said == f"clove: the program's stdout cannot be written: {FULL}\n"


def test_what_an_agent_prints_is_not_lost_in_silence(here: Host) -> None:
    said = told(here, "run", "--", "echo", "hi")
    assert f"clove: the agent's stdout cannot be written: {FULL}\n" in said


@pytest.mark.parametrize(
    "words",
    [
        ["exec", "-i", "beside", "--", "cat"],
        ["run", "-i", "--", "cat"],
    ],
    ids=" ".join,
)
def test_input_that_cannot_be_read_is_not_taken_for_its_end(here: Host, words: list[str]) -> None:
    said = told(here, *words, data="/proc/self/mem", output=os.devnull)
    assert said == "clove: standard input cannot be read: Input/output error\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("buffered", [True, False])
def test_a_file_that_is_cut_off_by_a_full_disk_is_an_error(here: Host, buffered: bool) -> None:
    here.client.write_file("/workspace/large", "x" * 1_000_000, agent="beside")
    with tempfile.TemporaryDirectory() as disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", disk], check=True)
        try:
            for words in (["cat", "beside:large"], ["exec", "beside", "python3", "-c", MANY]):
                output = Path(disk, words[0])
                assert FULL in told(here, *words, output=str(output), buffered=buffered)
                assert output.stat().st_size == ROOM
                output.unlink()
        finally:
            subprocess.run(["umount", disk], check=True)
