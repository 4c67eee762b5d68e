"""WATCH: what changes in a directory, of the host's, of an agent's own, and of an agent's for the operator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import CloveError, InvalidRequest, LimitExceeded, NotFound
from tests.conformance.peer import Peer
from tests.integration.conftest import BOTH, SLEEP, KernelProcess, running_kernel, until_up


def names(events: Any) -> list[tuple[str, str]]:
    return [(one["event"], one["name"]) for one in events]


def collected(stream: Any, most: int) -> list[tuple[str, str]]:
    """As many events, in whatever replies they come."""
    found: list[tuple[str, str]] = []
    while len(found) < most:
        found += names(next(stream)["events"])
    return found


def test_what_happens_in_a_directory_is_told_in_order(client: CloveClient, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with client.watch_directory(str(tmp_path)) as stream:
        assert next(stream)["events"] == []
        (tmp_path / "a").write_text("x")
        os.rename(tmp_path / "a", tmp_path / "b")
        (tmp_path / "b").chmod(0o600)
        (tmp_path / "b").unlink()
        (tmp_path / "sub/below").touch()  # is not told
        (tmp_path / "new\nline").mkdir()
        assert collected(stream, 7) == [
            ("created", "a"),
            ("changed", "a"),
            ("moved_from", "a"),
            ("moved_to", "b"),
            ("changed", "b"),
            ("removed", "b"),
            ("created", "new\nline"),
        ]


def test_it_ends_with_the_directory(client: CloveClient, tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    stream = client.watch_directory(str(watched))
    next(stream)
    watched.rmdir()
    assert [reply["ended"] for reply in stream] in ([], [True])
    assert stream.finish()["ended"] is True


OWN = """
import sys
from clove import CloveClient
client = CloveClient(sys.argv[1])
stream = client.watch_directory(".")
next(stream)
with CloveClient(sys.argv[1]) as other:
    other.write_file("made", "x")
print(next(stream)["events"][0]["name"], flush=True)
"""


@BOTH
def test_an_agent_watches_its_own_directory(
    client: CloveClient, script: Any, sandboxed: bool, tmp_path: Path
) -> None:
    cwd = None if sandboxed else str(tmp_path)
    client.spawn("watcher", script(OWN), sandboxed=sandboxed, cwd=cwd)
    client.wait("watcher", timeout=30)
    assert [line["text"] for line in client.logs("watcher")["lines"]] == ["made"]


def test_the_operator_watches_an_agents_until_it_has_ended(
    client: CloveClient, script: Any, kernel: KernelProcess
) -> None:
    client.spawn("watched", script(SLEEP))
    until_up(client, "watched")
    with client.watch_directory("/workspace", agent="watched") as stream:
        next(stream)
        client.write_file("made", "x", agent="watched")
        assert collected(stream, 1)[0] == ("created", "made")
        client.kill("watched")
        for reply in stream:
            assert not reply["lost"]
        assert stream.finish()["ended"] is True


def test_a_watch_of_a_granted_directory_ends_with_the_agent(
    client: CloveClient, tmp_path: Path
) -> None:
    mounts = [{"path": str(tmp_path), "writable": True}]
    client.spawn("granted", command=["sleep", "1000"], mounts=mounts)
    with client.watch_directory(str(tmp_path), agent="granted") as stream:
        next(stream)
        client.kill("granted")
        assert stream.finish()["ended"] is True
    (tmp_path / "later").touch()


def test_denied_names_are_not_told(client: CloveClient, tmp_path: Path) -> None:
    with CloveClient(client.socket_path) as narrowed:
        narrowed.set_permissions({"blocked_paths": [f"{tmp_path}/secret*"]})
        with narrowed.watch_directory(str(tmp_path)) as stream:
            next(stream)
            (tmp_path / "secret-1").touch()
            (tmp_path / "plain").mkdir()
            assert collected(stream, 1) == [("created", "plain")]


def test_what_is_no_directory_is_not_watched(client: CloveClient, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "fifo"):
        with pytest.raises(InvalidRequest, match="not a directory"):
            next(client.watch_directory(str(tmp_path / name)))
    with pytest.raises(NotFound):
        next(client.watch_directory(str(tmp_path / "missing")))


def test_version_1_cannot_watch(kernel: KernelProcess) -> None:
    with Peer(kernel.socket) as peer:
        assert peer.call(0x0A, {"path": "/tmp"}).json()["code"] == "invalid_request"


def test_watches_have_a_limit_and_are_given_back(tmp_path: Path) -> None:
    with (
        running_kernel("[limits.files]\nwatches = 2\n") as kernel,
        CloveClient(kernel.socket) as client,
    ):
        for _ in range(5):
            streams = [client.watch_directory(str(tmp_path)) for _ in range(2)]
            for stream in streams:
                next(stream)
            with pytest.raises(LimitExceeded):
                next(client.watch_directory(str(tmp_path)))
            for stream in streams:
                stream.close()


MANY = """
import sys
from clove import CloveClient
from clove.errors import CloveError
client = CloveClient(sys.argv[1])
streams = []
try:
    while True:
        streams.append(client.watch_directory("."))
        next(streams[-1])
except CloveError as error:
    print(error.code, len(streams) < 128, flush=True)
print("up", flush=True)
import time
time.sleep(100)
"""


def test_an_agent_that_takes_all_watches_leaves_some(
    client: CloveClient, script: Any, tmp_path: Path
) -> None:
    client.spawn("greedy", script(MANY))
    until_up(client, "greedy")
    line = client.logs("greedy")["lines"][0]["text"]
    assert line in ("limit_exceeded True", "unavailable True")
    with client.watch_directory(str(tmp_path)) as stream:
        next(stream)
    client.spawn("other", script(OWN))
    client.wait("other", timeout=30)
    assert [one["text"] for one in client.logs("other")["lines"]] == ["made"]


def test_another_agents_directory_is_not_watched(client: CloveClient, script: Any) -> None:
    client.spawn("victim", script(SLEEP))
    client.spawn(
        "curious",
        script(
            "import sys\nfrom clove import CloveClient\nfrom clove.errors import CloveError\n"
            "try: next(CloveClient(sys.argv[1]).watch_directory('/workspace', agent='victim'))\n"
            "except CloveError as error: print(error.rule)\n"
        ),
    )
    client.wait("curious", timeout=30)
    assert [one["text"] for one in client.logs("curious")["lines"]] == ["operator"]
    with pytest.raises(CloveError):
        next(client.watch_directory("/workspace", agent="nobody"))
