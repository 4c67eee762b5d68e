"""Thinking through a whole kernel, over its socket."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clove.client.blocking import CloveClient
from clove.errors import InvalidRequest, QuotaExceeded, Unavailable

KEY = "test-key-91d4e7"


def services_of(kernel: int) -> list[int]:
    """The processes below a kernel that are LLM services."""
    return [
        pid
        for pid in descendants(kernel)
        if b"clove.llm.service" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


@pytest.fixture
def gemini() -> Iterator[str]:
    """The address of a fake Gemini in a process of its own."""
    command = [sys.executable, "-m", "clove.testing.fake_gemini", "--port", "0", "--key", KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.terminate()


@pytest.fixture
def thinking_kernel(own_kernel: Any, gemini: str) -> Any:
    """A kernel that has a key."""
    own_kernel.stop()
    own_kernel.environ |= {"GEMINI_API_KEY": KEY, "CLOVE_GEMINI_BASE_URL": gemini}
    own_kernel.start()
    return own_kernel


def asked(gemini: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{gemini}/_fake/requests") as response:
        requests: list[dict[str, Any]] = json.load(response)
    return requests


def descendants(pid: int) -> set[int]:
    found = {pid}
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in children:
        found |= descendants(int(child))
    return found


def test_agent_thinks_offline_without_any_key(kernel: Any) -> None:
    with CloveClient(kernel.socket) as client:
        reply = client.think("Research solar sails")
        assert (reply["provider"], reply["model"]) == ("offline", "offline-1")
        assert reply["success"]
        assert reply["error"] == ""
        assert reply["tokens"] == reply["input_tokens"] + reply["output_tokens"]
        assert "solar sails" in reply["content"].lower()


def test_streamed_pieces_make_the_whole(kernel: Any) -> None:
    with CloveClient(kernel.socket) as client:
        stream = client.think_stream("Research solar sails")
        pieces = list(stream)
        assert len(pieces) > 20
        assert stream.result is not None
        assert "".join(pieces) == stream.result["content"]


def test_fifty_at_once_on_one_connection_against_a_quota_of_five(kernel: Any) -> None:
    with CloveClient(kernel.socket) as client:
        client.set_permissions(permissions={"max_llm_calls": 5})

        def one(number: int) -> bool:
            try:
                return bool(client.think(f"question {number}")["success"])
            except QuotaExceeded:
                return False

        with ThreadPoolExecutor(50) as pool:
            assert sum(pool.map(one, range(50))) == 5


def test_missing_prompt_is_an_error_with_the_usual_fields(kernel: Any) -> None:
    with CloveClient(kernel.socket) as client, pytest.raises(InvalidRequest):
        client.think("")


def test_reported_usage_counts_against_the_quota(kernel: Any) -> None:
    with CloveClient(kernel.socket) as client:
        client.set_permissions(permissions={"max_llm_tokens": 100})
        assert not client.llm_report(tokens=60)["quota_exceeded"]
        assert client.llm_report(tokens=60)["quota_exceeded"]
        with pytest.raises(QuotaExceeded):
            client.think("one more")


def test_key_is_used_and_in_no_other_process_s_reach(thinking_kernel: Any, gemini: str) -> None:
    with CloveClient(thinking_kernel.socket) as client:
        reply = client.think("hello there")
        assert (reply["content"], reply["provider"]) == ("You said: hello there", "gemini")
        assert asked(gemini)[-1]["headers"]["x-goog-api-key"] == KEY
        shown = client.exec("env; cat /proc/self/environ")
        assert shown["success"]
        assert KEY not in shown["stdout"]
        assert KEY not in json.dumps(client.get_audit_log(limit=1000))
    assert KEY not in thinking_kernel.log
    for path in Path(thinking_kernel.state_dir).rglob("*"):
        if path.is_file() and path.stat().st_size:  # the mask of blocked files has no mode
            assert KEY not in path.read_text(errors="replace")


def test_the_service_is_started_by_the_first_question(thinking_kernel: Any) -> None:
    with CloveClient(thinking_kernel.socket) as client:
        client.noop()
        assert services_of(thinking_kernel.pid) == []
        client.think("hello there")
        assert len(services_of(thinking_kernel.pid)) == 1


def test_killed_service_does_not_take_the_kernel_along(thinking_kernel: Any) -> None:
    with CloveClient(thinking_kernel.socket) as client:
        client.think("hello there")
        services = services_of(thinking_kernel.pid)
        assert len(services) == 1
        os.kill(services[0], signal.SIGKILL)
        with contextlib.suppress(Unavailable):  # it may have been sent to the dying one
            client.think("hello")
        assert client.think("hello again")["content"] == "You said: hello again"


def test_stopped_or_killed_kernel_leaves_no_service(own_kernel: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with CloveClient(own_kernel.socket) as client:
            client.think("x")
        (service,) = services_of(own_kernel.pid)
        watch = os.pidfd_open(service)
        own_kernel.stop(number)
        assert select.select([watch], [], [], 10)[0]
        os.close(watch)
        own_kernel.start()
