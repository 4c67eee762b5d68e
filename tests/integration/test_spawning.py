"""What SPAWN makes and refuses: names, scripts, interpreters, limits."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import (
    AlreadyExists,
    InvalidRequest,
    IsolationUnavailable,
    NotFound,
)
from tests.integration.conftest import (
    SLEEP,
    KernelProcess,
)


def test_a_name_in_use_is_refused_and_free_again_afterwards(
    client: CloveClient, script: Any
) -> None:
    path = script(SLEEP)
    client.spawn("single", path)
    with pytest.raises(AlreadyExists):
        client.spawn("single", path)
    client.kill("single")
    client.spawn("single", path)


def test_two_spawns_of_one_name_at_once_give_one_agent(
    kernel: KernelProcess, client: CloveClient, script: Any
) -> None:
    path = script(SLEEP)
    outcomes: list[str] = []

    def spawn() -> None:
        with CloveClient(kernel.socket) as other:
            try:
                other.spawn("race", path)
                outcomes.append("spawned")
            except AlreadyExists:
                outcomes.append("refused")

    threads = [threading.Thread(target=spawn) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 5 + ["spawned"]


def test_a_missing_script_is_an_error_of_spawn_and_leaves_nothing(
    own_kernel: KernelProcess,
) -> None:
    with CloveClient(own_kernel.socket) as client:
        with pytest.raises(NotFound):
            client.spawn("ghost", "/no/such/script.py")
        with pytest.raises(InvalidRequest, match="directory"):
            client.spawn("ghost", own_kernel.directory)
        assert client.list_agents() == []
    assert os.listdir(f"{own_kernel.state_dir}/agents") == []
    assert os.listdir(f"{own_kernel.state_dir}/run") == []


def test_a_missing_interpreter_is_an_error_of_spawn(client: CloveClient, script: Any) -> None:
    with pytest.raises(NotFound):
        client.spawn("x", script("pass"), python="/no/such/python")


def test_another_interpreter_runs_the_script(client: CloveClient, script: Any) -> None:
    agent = client.spawn(
        "system", script("import sys; print(sys.prefix)"), python="/usr/bin/python3"
    )
    client.wait(agent["id"], timeout=20)
    assert client.logs(agent["id"])["lines"][0]["text"] == "/usr"


def test_limits_asked_for_by_name_are_enforced_or_refused(client: CloveClient, script: Any) -> None:
    path = script(SLEEP)
    free = client.spawn("free", path)["isolation"]
    client.kill("free")
    if free["cgroups"]["memory_limit"]:
        pytest.skip("this host has the memory controller; the guest's tests cover it")
    with pytest.raises(IsolationUnavailable, match="memory") as caught:
        client.spawn("strict", path, limits={"memory": 1 << 28})
    assert caught.value.hint
    degraded = client.spawn("lax", path, limits={"memory": 1 << 28}, allow_degraded=True)
    assert degraded["isolation"]["fully_isolated"] is False
    assert degraded["isolation"]["degraded_reason"]


@pytest.mark.parametrize("name", ["a/b", "..", "a\0b", "x" * 10240, "", "\x1b[31m"])
def test_names_that_would_be_trouble_are_refused(
    client: CloveClient, script: Any, name: str
) -> None:
    with pytest.raises(InvalidRequest):
        client.spawn(name, script("pass"))
