"""Machines that answer nonsense: each answer is one clear error, and none is kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from clove.deploy.bundle.reading import BundleFacts
from clove.deploy.programs import Ran
from clove.deploy.ssh import scripts
from clove.deploy.ssh.answers import in_use, last_object, read_number
from clove.deploy.ssh.bundles import Bundles, LocalBundle
from clove.deploy.ssh.connection import Connection
from clove.deploy.ssh.host import judge, read_probe
from clove.deploy.step import Progress
from clove.errors import CloveError, Unavailable
from tests.unit.deploy.test_ssh_host import GOOD

NONSENSE = ["", "\n", "?", "9" * 5000, "[" * 100_000, "\x1b[2J", "-1", "x y z\n" * 1000]


class Far(Connection):
    """A machine that says the same to everything."""

    def __init__(self, text: str) -> None:
        super().__init__("ann@build-7", 0, "", Path("/nowhere"))
        self._text = text

    def run(self, script: str, arguments: Sequence[str] = (), **other: Any) -> Ran:
        return Ran(0, self._text.encode(), b"")


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_one_clear_error(text: str, tmp_path: Path) -> None:
    far = Far(text)
    with pytest.raises(Unavailable):
        last_object(Ran(0, text.encode(), b""))
    if text.strip() not in ("", "9" * 5000):
        with pytest.raises(Unavailable, match="where the name of a release is expected"):
            in_use(far, {"prefix": "/opt/clove", "root": ""})
    (tmp_path / "b.tar.gz").write_bytes(b"bundle")
    facts = BundleFacts("b", "0.1.0-1", "0.1.0", "3.11", "x86_64")
    bundle = LocalBundle(tmp_path / "b.tar.gz", "", facts)
    copy = Bundles(far, "", tmp_path)._copy
    with pytest.raises(Unavailable, match="something else writes"):
        copy(bundle, ("/staging", "b.tar.gz"), Progress("bundle", lambda event: None))


@pytest.mark.parametrize("key", ["python_path", "data", "config", "staging", "home"])
@pytest.mark.parametrize("value", ["", "relative"])
def test_a_probe_without_a_path_is_one_clear_error(key: str, value: str) -> None:
    with pytest.raises(CloveError, match=key):
        judge(read_probe(f"{GOOD}{key}={value}\n"), "ann@build-7", "b7", user_units=False)


@pytest.mark.parametrize("line", ["libc=glibc " + "9" * 5000, "free /opt/clove=" + " 9" * 5000])
def test_numbers_without_end_are_no_numbers(line: str) -> None:
    judge(
        read_probe(f"{GOOD}current /opt/clove=0.1.0-1\nclaim /opt/clove=b7\n{line}\n"),
        "h",
        "b7",
        user_units=False,
    )


def test_an_answer_without_end_is_cut() -> None:
    assert len(read_probe("os=" + "x" * (1 << 22))["os"]) <= 1024


def test_what_a_machine_says_is_no_words_of_a_command() -> None:
    said = read_probe(f"{GOOD}claim /opt/clove=x; rm -rf ~\n")
    with pytest.raises(CloveError) as refused:
        judge(said, "ann@build-7", "b7", user_units=False)
    assert "--name 'x; rm -rf ~'" in refused.value.hint


@pytest.mark.parametrize("text", ["7", "clove\n 7 \n"])
def test_the_last_word_is_the_number(text: str) -> None:
    assert read_number(text) == 7


@pytest.mark.parametrize("name", ["my state", "50%h", "a$b", 'a"b', "x" * 100])
def test_a_directory_that_ssh_would_read_otherwise_shares_no_connection(name: str) -> None:
    made = Connection("build-7", 0, "", Path("/state", name, "ssh"))
    assert made._shared == []
    assert Connection("build-7", 0, "", Path("/state/d/ssh"))._shared


def claim(prefix: Path, name: str) -> int:
    words = ["sh", "-c", scripts.CLAIM, "sh", str(prefix), name, "system"]
    return subprocess.run(words, check=False, capture_output=True).returncode


def test_a_claim_is_that_of_who_was_first(tmp_path: Path) -> None:
    assert claim(tmp_path / "clove", "one") == 0
    assert claim(tmp_path / "clove", "other") == 1
    assert claim(tmp_path / "clove", "one") == 0
    assert (tmp_path / "clove/deployment").read_text() == "one"
    assert os.listdir(tmp_path / "clove") == ["deployment"]


def test_of_many_claims_at_once_one_holds(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(8)]
    command = ["sh", "-c", scripts.CLAIM, "sh", str(tmp_path / "clove")]
    running = [
        subprocess.Popen([*command, name, "system"], stderr=subprocess.DEVNULL) for name in names
    ]
    won = [name for name, process in zip(names, running, strict=True) if process.wait() == 0]
    assert won == [(tmp_path / "clove/deployment").read_text()]
