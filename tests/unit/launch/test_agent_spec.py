"""From a SPAWN request to a sandbox: what is asked for, given, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from clove.errors import InvalidRequest, IsolationUnavailable, LimitExceeded
from clove.kernel.launch.agent_spec import Host, agent_spec
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.request_checks import check_request
from clove.kernel.launch.resource_limits import settle_limits
from clove.kernel.mounts.interpreter import Interpreter
from clove.messages.agents import LimitsRequest, SpawnRequest
from clove.sandbox.spec import SandboxSpec

BOUNDS = AgentLimits()
FULL = frozenset({"memory", "pids", "cpu"})


def host(controllers: frozenset[str] = FULL, *, root: bool = True) -> Host:
    environ = {"PATH": "/bin", "HOME": "/home/dev"}
    return Host("/lib/clove", controllers, root, environ, "/srv")


def request(**fields: Any) -> SpawnRequest:
    return SpawnRequest(name="a", script="a.py", **fields)


def planned(asked: SpawnRequest, on: Host) -> SandboxSpec:
    return agent_spec(
        asked,
        7,
        host=on,
        limits=settle_limits(asked.limits, BOUNDS),
        bounds=BOUNDS,
        interpreter=Interpreter("/usr/bin/python3", "/usr/bin/python3.11"),
        script="/srv/a.py",
        script_copy="/state/agents/7/app/a.py",
        home="/state/agents/7/workspace",
        socket="/state/run/7.sock",
        cgroup_procs=None,
        uid=BOUNDS.uid_base + 7 if on.root else None,
    )


def check(asked: SpawnRequest, on: Host) -> None:
    check_request(asked, on.controllers, settle_limits(asked.limits, BOUNDS), BOUNDS)


def test_a_sandboxed_agent_gets_every_namespace_and_a_user_of_its_own() -> None:
    spec = planned(request(), host())
    assert spec.namespaces == {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time"}
    assert spec.uid == BOUNDS.uid_base + 7
    assert spec.argv == ("/usr/bin/python3", "/app/a.py", "/tmp/clove.sock")


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_command_is_run_as_it_is_where_it_says(sandboxed: bool) -> None:
    asked = SpawnRequest(name="a", command=["ls", "-l"], cwd="/usr", sandboxed=sandboxed)
    spec = planned(asked, host())
    assert (spec.argv, spec.cwd) == (("ls", "-l"), "/usr")


def test_only_its_workspace_and_socket_are_writable() -> None:
    spec = planned(request(), host())
    writable = {bind.target for bind in spec.binds if bind.writable}
    assert writable == {"/workspace", "/tmp/clove.sock"}


def test_the_network_leaves_through_sockets_of_a_namespace_of_its_own() -> None:
    spec = planned(request(network=True), host())
    assert "net" in spec.namespaces
    assert spec.egress is not None
    assert planned(request(), host()).egress is None


def test_the_environment_starts_clean_and_the_kernels_words_win() -> None:
    asked = request(env={"CLOVE_SOCKET": "/evil", "CLOVE_AGENT_ID": "1", "MINE": "x"})
    env = planned(asked, host()).env
    assert (env["CLOVE_SOCKET"], env["CLOVE_AGENT_ID"]) == ("/tmp/clove.sock", "7")
    assert env["MINE"] == "x"
    assert env["HOME"] == "/workspace"


def test_an_unsandboxed_agent_runs_the_script_in_place_with_the_kernels_environment() -> None:
    spec = planned(request(sandboxed=False, args=["1"]), host())
    assert spec.argv == ("/usr/bin/python3", "/srv/a.py", "/state/run/7.sock", "1")
    assert spec.namespaces == frozenset()
    assert (spec.cwd, spec.env["HOME"]) == ("/srv", "/home/dev")


def test_rlimits_stand_in_for_missing_controllers_only() -> None:
    bare = planned(request(), host(frozenset()))
    assert bare.rlimits["data"] == BOUNDS.memory
    assert bare.rlimits["nproc"] == BOUNDS.max_pids + 1
    full = planned(request(), host())
    assert "data" not in full.rlimits
    assert "nproc" not in full.rlimits


@pytest.mark.parametrize("fields", [{"degrade": ["limits"]}, {"allow_degraded": True}])
def test_the_memory_of_a_sandbox_is_watched_instead_where_the_caller_accepts_less(
    fields: dict[str, Any],
) -> None:
    assert "data" not in planned(request(**fields), host(frozenset())).rlimits
    outside = planned(request(sandboxed=False, **fields), host(frozenset()))
    assert outside.rlimits["data"] == BOUNDS.memory
    assert outside.raisable == ("data",)


def test_processes_of_the_hosts_user_are_not_counted_against_an_unsandboxed_agent() -> None:
    assert "nproc" not in planned(request(sandboxed=False), host(frozenset())).rlimits


def test_a_limit_asked_for_by_name_needs_its_controller() -> None:
    asked = request(limits=LimitsRequest(memory=1 << 27))
    check(asked, host())
    with pytest.raises(IsolationUnavailable, match="memory") as caught:
        check(asked, host(frozenset({"pids"})))
    assert "Delegate=yes" in caught.value.hint


def test_default_limits_never_refuse() -> None:
    check(request(), host(frozenset()))
    check(request(limits=LimitsRequest()), host(frozenset()))


def test_degraded_isolation_is_the_callers_choice() -> None:
    limits = LimitsRequest(max_pids=5)
    check(request(limits=limits, allow_degraded=True), host(frozenset()))


def test_network_off_by_name_needs_a_sandbox() -> None:
    with pytest.raises(IsolationUnavailable, match="network"):
        check(request(sandboxed=False, network=False), host())


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"args": ["a\0b"]}, InvalidRequest),
        ({"env": {"A=B": "1"}}, InvalidRequest),
        ({"env": {"": "1"}}, InvalidRequest),
        ({"args": ["\ud800"]}, InvalidRequest),
        ({"args": ["x"] * 1000}, LimitExceeded),
        ({"args": ["x" * (1 << 20)]}, LimitExceeded),
    ],
)
def test_words_that_no_program_can_take_are_refused(
    fields: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        check(request(**fields), host())
