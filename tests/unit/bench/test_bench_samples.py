"""Samples that a load tool takes of a server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.workload import NOOP_1, NoReplies, Server, take

TOOL = """#!/bin/sh
# loadgen SOCKET CONNECTIONS SECONDS ...: gets a reply only where it has long enough
echo "$3" >> "$0.tries"
case $3 in {enough}) echo "rps=100 p50_us=5 p99_us=9 n=10 bad_opcode=0 closed=0";;
*) echo "rps=0 p50_us=0 p99_us=0 n=0 bad_opcode=0 closed=0"; exit 1;; esac
"""


def tool(tmp_path: Path, enough: str) -> Path:
    """A load tool that gets replies only in so many seconds."""
    made = tmp_path / "loadgen"
    made.write_text(TOOL.format(enough=enough))
    made.chmod(0o755)
    return made


def tries(made: Path) -> list[float]:
    return [float(line) for line in Path(f"{made}.tries").read_text().splitlines()]


def test_where_no_reply_came_in_time_it_tries_for_longer(tmp_path: Path) -> None:
    made = tool(tmp_path, enough="1.6*")
    server = Server("clove", "/nowhere.sock", os.getpid())
    sample = take({"loadgen": made}, NOOP_1, server, 0.1, 0.0)
    assert (sample.rate, sample.p50, sample.p99) == (100, 5, 9)
    assert tries(made) == pytest.approx([0.1, 0.4, 1.6])


def test_it_gives_up_in_the_end_and_shows_what_the_tool_said(tmp_path: Path) -> None:
    made = tool(tmp_path, enough="never")
    server = Server("clove", "/nowhere.sock", os.getpid())
    with pytest.raises(NoReplies, match="n=0"):
        take({"loadgen": made}, NOOP_1, server, 0.1, 0.0)
    assert len(tries(made)) == 4
