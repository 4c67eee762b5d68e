"""Metrics of this machine and of real processes; who may see whose."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater

from clove.errors import InvalidRequest, NotFound, PermissionDenied
from clove.kernel.calls import metrics as calls
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.loop_time import LoopTime
from clove.kernel.metrics import MetricsLimits
from clove.kernel.metrics.metrics import BATCH
from clove.kernel.principal import Kind, Principal
from clove.messages import encode
from clove.messages.metrics import AgentMetrics, MetricsAgentRequest, MetricsCgroupRequest
from clove.messages.session import EmptyRequest
from tests.unit.metrics.metrics_world import Record, World, reactor

BEGUN = ConnectionLimits().long_work


async def test_the_machine(world: World) -> None:
    system = await world.metrics().system()
    assert 0 <= system.cpu.percent <= 100
    assert system.cpu.count == len(system.cpu.per_core) == os.cpu_count()
    assert len(system.cpu.load_avg) == 3
    memory = system.memory
    assert 0 < memory.available < memory.total == memory.available + memory.used
    assert 0 < memory.percent < 100


def _proc(directory: str, busy: int, total: int) -> str:
    Path(directory, "stat").write_text(f"cpu {busy} 0 0 {total - busy} 0 0 0 0\n")
    return directory


async def test_a_sample_is_used_again_when_asked_too_soon(world: World, short_dir: str) -> None:
    metrics = world.metrics(proc=_proc(short_dir, 50, 100), limits=MetricsLimits(min_interval=1.0))
    assert (await metrics.system()).cpu.percent == 50.0
    _proc(short_dir, 75, 200)
    world.clock.advance(0.9)
    assert (await metrics.system()).cpu.percent == 50.0
    world.clock.advance(0.1)
    assert (await metrics.system()).cpu.percent == 25.0


async def test_files_that_are_missing_count_nothing(world: World, short_dir: str) -> None:
    system = await world.metrics(proc=short_dir).system()
    assert system.cpu.count == 0
    assert system.memory.total == 0


async def test_an_agent_with_a_process(world: World) -> None:
    principal = world.principal()
    principal.syscalls = 7
    world.agents.list.append(Record(principal.agent_id, pid=os.getpid()))
    world.used[principal.agent_id] = {"tokens": 10, "calls": 2, "budget": 100}
    metrics = await world.metrics().agent(principal.agent_id)
    assert (metrics.agent_id, metrics.name, metrics.status) == (1, "worker", "running")
    assert (metrics.uptime_ms, metrics.restarts, metrics.syscalls) == (1234, 2, 7)
    process = metrics.process
    assert process.pid == os.getpid()
    assert process.memory.vms > process.memory.rss > 1 << 20
    assert process.threads >= 1
    assert process.fds >= 3
    assert process.cpu.percent > 0
    assert (metrics.llm.tokens, metrics.llm.calls, metrics.llm.budget) == (10, 2, 100)


async def test_one_that_was_not_spawned_has_no_process(world: World) -> None:
    principal = world.principal()
    principal.syscalls = 3
    metrics = await world.metrics().agent(principal.agent_id)
    assert (metrics.status, metrics.syscalls, metrics.process.pid) == ("connected", 3, 0)
    assert metrics.process.memory.rss == 0


async def test_an_agent_that_has_just_ended(world: World) -> None:
    world.agents.list.append(Record(1, pid=2**22 + 1, cgroup="/sys/fs/cgroup/no/such"))
    metrics = await world.metrics().agent(1)
    assert (metrics.process.memory.rss, metrics.cgroup.valid) == (0, False)


async def test_an_agent_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFound):
        await world.metrics().agent(1)


async def test_all_agents_by_id_up_to_the_bound(world: World) -> None:
    for _ in range(3):
        world.principal()
    world.agents.list.append(Record(2, name="spawned", state="exited"))
    metrics = world.metrics()
    agents, truncated = await metrics.all_agents()
    assert [(agent.agent_id, agent.status) for agent in agents] == [
        (1, "connected"),
        (2, "exited"),
        (3, "connected"),
    ]
    assert not truncated
    agents, truncated = await world.metrics(limits=MetricsLimits(max_agents=2)).all_agents()
    assert ([agent.agent_id for agent in agents], truncated) == ([1, 2], True)


async def test_many_agents_are_read_in_several_turns_of_the_callers_family(world: World) -> None:
    ids = [world.principal().agent_id for _ in range(2 * BATCH + 5)]
    turns: list[int] = []

    def next_turn(family: int) -> Deferred[None]:
        """The one that would be read last ends."""
        turns.append(family)
        if len(turns) == 2:
            world.registry.remove(world.registry.find(agent_id=ids[-1]))
        return succeed(None)

    metrics = world.metrics(next_turn=next_turn)
    asker = world.principal(Kind.OPERATOR)
    found, truncated = await metrics.all_agents(lambda agent_id: agent_id in ids, asker)
    assert [one.agent_id for one in found] == ids[:-1]
    assert not truncated
    assert turns == [asker.family] * 2


async def test_of_a_familys_questions_for_many_agents_few_are_answered_at_once(
    world: World,
) -> None:
    """What was found of the first agents is held until the others are read, and counted nowhere."""
    ids = [world.principal().agent_id for _ in range(BATCH + 1)]
    turns: list[Deferred[None]] = []
    most = 0

    def next_turn(family: int) -> Deferred[None]:
        nonlocal most
        turns.append(Deferred())
        most = max(most, len(turns))
        return turns[-1]

    begun = LoopTime(world.clock, 1.0, BEGUN).begun
    metrics = world.metrics(next_turn=next_turn, begun=begun)
    answers = [Deferred.fromCoroutine(metrics.all_agents()) for _ in range(3 * BEGUN)]
    while not all(answer.called for answer in answers):
        if turns:
            turns.pop(0).callback(None)
        else:
            await deferLater(reactor, 0)
    assert most == BEGUN
    for answer in answers:
        found, _ = await answer
        assert [one.agent_id for one in found] == ids


async def test_an_agent_sees_itself_and_its_descendants(world: World) -> None:
    parent = world.principal()
    child = world.principal(parent=parent)
    grandchild = world.principal(parent=child)
    stranger = world.principal()
    operator = world.principal(Kind.OPERATOR)

    async def seen(who: Principal) -> list[int]:
        reply = await calls.metrics_all_agents(world.context(who), EmptyRequest())
        assert reply.count == len(reply.agents)
        return [agent.agent_id for agent in reply.agents]

    assert await seen(parent) == [1, 2, 3]
    assert await seen(child) == [2, 3]
    assert await seen(stranger) == [4]
    assert await seen(operator) == [1, 2, 3, 4, 5]

    async def ask(who: Principal, agent_id: int | None) -> AgentMetrics:
        request = MetricsAgentRequest(agent_id=agent_id)
        reply = await calls.metrics_agent(world.context(who), request)
        assert isinstance(reply.metrics, AgentMetrics)
        return reply.metrics

    assert (await ask(parent, None)).agent_id == 1
    assert (await ask(parent, grandchild.agent_id)).agent_id == 3
    assert (await ask(operator, stranger.agent_id)).agent_id == 4
    for agent_id in (parent.agent_id, stranger.agent_id, 99):
        with pytest.raises(PermissionDenied) as caught:
            await ask(child, agent_id)
        assert caught.value.rule == "descendants"
    with pytest.raises(NotFound):
        await ask(operator, 99)


async def test_the_reply_has_the_contracts_fields(world: World) -> None:
    who = world.principal()
    reply = await calls.metrics_system(world.context(who), EmptyRequest())
    system = msgspec.json.decode(encode(reply))["metrics"]
    assert system["cpu"].keys() >= {"percent", "per_core", "count", "load_avg"}
    assert system["memory"].keys() == {"total", "available", "used", "percent"}
    assert system["disk"].keys() == {"read_bytes", "write_bytes"}
    assert system["network"].keys() == {"bytes_sent", "bytes_recv"}
    agent = msgspec.json.decode(
        encode(await calls.metrics_agent(world.context(who), MetricsAgentRequest()))
    )["metrics"]
    assert agent["process"].keys() == {"pid", "cpu", "memory", "threads", "fds"}
    assert agent["cgroup"].keys() == {"valid", "cpu_usage_usec", "mem_current"}
    assert agent["llm"].keys() == {"tokens", "calls", "budget"}


@pytest.fixture
def cgroups(short_dir: str) -> Path:
    """A tree with the cgroups of two agents."""
    root = Path(os.path.realpath(short_dir))
    for name in ("clove/a", "clove/b"):
        directory = root / name
        directory.mkdir(parents=True)
        (directory / "cgroup.procs").write_text(f"{os.getpid()}\n")
        (directory / "cpu.stat").write_text("usage_usec 5\n")
        (directory / "memory.current").write_text("6\n")
    return root


async def test_an_agent_sees_its_own_cgroup_only(world: World, cgroups: Path) -> None:
    ann, bob, operator = world.principal(), world.principal(), world.principal(Kind.OPERATOR)
    world.agents.list = [
        Record(ann.agent_id, cgroup=str(cgroups / "clove/a")),
        Record(bob.agent_id, cgroup=str(cgroups / "clove/b")),
    ]
    metrics = world.metrics(cgroup_root=str(cgroups))

    async def ask(who: Principal, path: str | None) -> Any:
        request = MetricsCgroupRequest(cgroup_path=path)
        reply = await calls.metrics_cgroup(world.context(who, metrics), request)
        return msgspec.json.decode(encode(reply))["metrics"]

    for path in (None, "clove/a", str(cgroups / "clove/a")):
        assert (await ask(ann, path))["cpu"]["usage_usec"] == 5
    assert (await ask(operator, "clove/b"))["memory"]["current"] == 6
    for path in ("clove/b", "clove", ""):
        with pytest.raises(PermissionDenied):
            await ask(ann, path)
    for path in ("clove/a/../b", "/proc/self", "clove/a\0"):
        with pytest.raises(InvalidRequest):
            await ask(ann, path)
    with pytest.raises(NotFound):
        await ask(ann, "clove/a/missing")


async def test_one_without_a_cgroup_gets_figures_that_are_not_valid(world: World) -> None:
    who = world.principal()
    reply = await calls.metrics_cgroup(world.context(who), MetricsCgroupRequest())
    assert msgspec.json.decode(encode(reply))["metrics"]["valid"] is False


async def test_processes_in_the_cgroup_are_summed(world: World, cgroups: Path) -> None:
    both = f"{os.getpid()}\n{os.getppid()}\n"
    (cgroups / "clove/a/cgroup.procs").write_text(both)
    alone, with_parent = Record(1, pid=os.getpid()), Record(2, pid=os.getpid())
    with_parent.cgroup = str(cgroups / "clove/a")
    world.agents.list = [alone, with_parent]
    one, two = (await world.metrics().all_agents())[0]
    assert two.process.pid == os.getpid()
    assert two.process.memory.vms > one.process.memory.vms
    assert (two.cgroup.valid, two.cgroup.cpu_usage_usec, two.cgroup.mem_current) == (True, 5, 6)
