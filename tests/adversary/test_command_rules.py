"""What stops an agent from running a program that its command rules forbid, way by way.

The same table stands in `docs/security.md`. The program is dd(1), of which the
agent is not told that it may be run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.adversary.arena import WAYS, Arena, Kernels
from tests.adversary.command_ways import CODE, INSIDE, WORDS
from tests.integration.agreement_commands import LOADER
from tests.integration.exposed import Agent
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
POLICIES: dict[str, Any] = {
    "blocked": {"blocked_commands": ["dd"]},
    "worded": {"blocked_commands": ["dd if=/dev/null"]},
    "allowed": {"allowed_commands": ["ls"]},
    "none": {"can_exec": False},
}
RUNS, DENIED = "runs", "permission_denied"


class Truth(NamedTuple):
    """What comes of one way.

    @ivar asked: by EXEC, under the rule `dd`; empty: EXEC cannot express it.
    @ivar blocked: by the agent itself, under the rule `dd`.
    @ivar worded: under the rule `dd if=/dev/null`, for which nothing is covered.
    @ivar allowed: when `ls` alone is allowed.
    @ivar none: with `can_exec` off.
    """

    asked: str
    blocked: str
    worded: str
    allowed: str
    none: str


_FILE = ("EACCES", RUNS, "EACCES", "EACCES")
_SHELL = ("exit 127", RUNS, "exit 126", "EACCES")
TRUTH: dict[str, Truth] = {
    "name": Truth(DENIED, *_FILE),
    "path": Truth(DENIED, *_FILE),
    "dots": Truth(DENIED, *_FILE),
    "proc root": Truth(DENIED, *_FILE),
    "link": Truth(DENIED, *_FILE),
    "env": Truth(DENIED, "exit 126", RUNS, "EACCES", "EACCES"),
    "sh -c": Truth(DENIED, *_SHELL),
    "computed": Truth(DENIED, *_SHELL),
    "script": Truth("exit 127", *_SHELL),
    "shebang": Truth(DENIED, "EACCES", "exit 1", "EACCES", "EACCES"),  # it runs, and complains
    "loader": Truth("exit 127", "exit 127", RUNS, RUNS, RUNS),
    "loader, copy": Truth("exit 127", "exit 127", RUNS, "exit 127", "exit 127"),
    "copy": Truth("not_found", "ENOENT", RUNS, "EACCES", "EACCES"),
    "copy in /tmp": Truth("not_found", "ENOENT", RUNS, "EACCES", "EACCES"),
    "copy in /dev/shm": Truth("not_found", "ENOENT", RUNS, "EACCES", "EACCES"),
    "own program": Truth(RUNS, RUNS, RUNS, "EACCES", "EACCES"),
    "hard link": Truth("", *["EXDEV"] * 4),
    "descriptor": Truth("", *_FILE),
    "O_PATH descriptor": Truth("", *_FILE),
    "memfd": Truth("", "EACCES", RUNS, "EPERM", "EPERM"),
    "memfd, own program": Truth("", RUNS, RUNS, "EPERM", "EPERM"),
    "loader, memfd": Truth("", RUNS, RUNS, "EPERM", "EPERM"),
    "mapping": Truth("", RUNS, RUNS, "EPERM", "EPERM"),
    "chmod": Truth("", *["EROFS"] * 4),
    "unmount": Truth("", *["EPERM"] * 4),
    "remount": Truth("", *["EPERM"] * 4),
    "interpreter": Truth("", *[RUNS] * 4),
}


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def here(request: pytest.FixtureRequest, kernels: Kernels) -> Iterator[Arena]:
    """Under both kernels, warm and cold."""
    arena = kernels.arena(*request.param)
    yield arena
    for agent in arena.client.list_agents():
        arena.client.kill(agent["id"])


@pytest.fixture(scope="module")
def outcomes(here: Arena) -> dict[str, dict[str, tuple[str, str]]]:
    """For each policy and way: what EXEC says, and what the operating system says."""
    found = {}
    code = f"WORDS = {WORDS!r}\nCODE = {CODE!r}\nLOADER = {LOADER!r}\n{INSIDE}"
    for name, permissions in POLICIES.items():
        agent = here.spawn(permissions)
        answers = agent.ask("run", code)
        assert isinstance(answers, dict), answers
        limited = agent.isolation["commands"]["executable"] is not None
        if limited or name in ("blocked", "worded"):
            found[name] = {way: (asked, direct) for way, (asked, direct) in answers.items()}
        here.client.kill(agent.id)
    return found


@pytest.mark.parametrize("way", TRUTH)
def test_the_way_ends_where_the_table_says(
    outcomes: dict[str, dict[str, tuple[str, str]]], way: str
) -> None:
    truth = TRUTH[way]._asdict()
    found = {name: ways[way][1] for name, ways in outcomes.items()}
    assert outcomes["blocked"][way][0] == truth.pop("asked")
    assert found == {name: each for name, each in truth.items() if name in found}
    if len(found) < len(POLICIES):
        pytest.skip("the rest needs Landlock, which this Linux has not")


def test_every_way_is_in_the_table() -> None:
    assert TRUTH.keys() == WORDS.keys() | CODE.keys()


def test_every_way_is_described() -> None:
    text = SECURITY.read_text()
    for way in TRUTH:
        assert f"| {way} |" in text


def test_a_program_of_many_names_runs_what_is_blocked(here: Arena) -> None:
    """Not covered: the rule does not name it. Named itself, it is."""
    path = shutil.which("busybox", path="/usr/local/bin:/usr/bin:/bin")
    if path is None:
        pytest.skip("busybox is not installed")
    attempt = f"{INSIDE.rpartition('prepare()')[0]}\nfound = answer(lambda: run(WORDS))"
    words = ["busybox", "dd", "if=/dev/null"]

    def tried(*rules: str) -> Any:
        agent: Agent = here.spawn({"blocked_commands": list(rules)})
        answer = agent.ask("run", f"WORDS = {words!r}\n{attempt}")
        here.client.kill(agent.id)
        return answer, str(Path(path).resolve()) in agent.isolation["commands"]["covered"]

    assert tried("dd") == (RUNS, False)
    answer, covered = tried("dd", "busybox")
    assert (answer == "EACCES") is covered
