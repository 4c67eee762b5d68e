"""Git repositories that were granted to agents: they work, and their hooks stay the owner's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS, Agent, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = [
    NEEDS_SANDBOX,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

WAYS = [(ROOT, 0), (ROOT, 4242), (ROOTLESS, ORDINARY if os.getuid() == 0 else os.getuid())]
WHO = ["-c", "user.name=a", "-c", "user.email=a@b"]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: f"{way[0]}-{way[1]}")
def kernel_and_owner(request: pytest.FixtureRequest) -> Iterator[tuple[Host, int]]:
    who, owner = request.param
    with host(who) as running:
        yield running, owner


@pytest.fixture
def owner(kernel_and_owner: tuple[Host, int]) -> int:
    return kernel_and_owner[1]


@pytest.fixture
def here(kernel_and_owner: tuple[Host, int], owner: int) -> Iterator[Host]:
    with kernel_and_owner[0].emptied() as emptied:
        emptied.files.chmod(0o755)
        if os.getuid() == 0:
            os.chown(emptied.files, owner, owner)
        yield emptied


@pytest.fixture
def repo(here: Host, owner: int) -> Path:
    """A repository with one commit, that its owner alone can enter."""
    path = here.files / "repo"
    path.mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(path, owner, owner)
    git(path, "init", "-q", "-b", "main", ".")
    (path / "a").write_text("1\n")
    if os.getuid() == 0:
        os.chown(path / "a", owner, owner)
    git(path, "add", "a")
    git(path, *WHO, "commit", "-qm", "1")
    return path


def git(directory: Path, *words: str) -> str:
    """Run git on the host, as the owner of the directory."""
    facts = directory.stat()
    identity: dict[str, Any] = {}
    if os.getuid() == 0:
        identity = {"user": facts.st_uid, "group": facts.st_gid, "extra_groups": []}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        ["git", *words],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        check=True,
        **identity,
    )
    return done.stdout


def inside(agent: Agent, directory: Path | str, command: str) -> str:
    """What a command prints inside, and its exit code."""
    code = (
        "import subprocess\n"
        f"done = subprocess.run({command!r}, shell=True, cwd={str(directory)!r}, text=True,"
        " stdout=-1, stderr=-2)\n"
        "found = f'{done.stdout}{done.returncode}'"
    )
    answer = agent.ask("run", code)
    assert isinstance(answer, str)
    return answer


def writer(here: Host, *paths: Path | str) -> Agent:
    return here.spawn({"allowed_paths": [str(path) for path in paths]})


def test_agents_commit_one_after_the_other_and_the_owner_goes_on(
    here: Host, repo: Path, owner: int
) -> None:
    for number in range(2):
        agent = writer(here, repo)
        assert inside(agent, repo, "git status --porcelain") == "0"
        commit = f"git {' '.join(WHO)} commit -qam {number}"
        assert inside(agent, repo, f"echo {number} >> a && {commit}") == "0"
    assert git(repo, "log", "--format=%s").split() == ["1", "0", "1"]
    assert git(repo, "status", "--porcelain") == ""
    strangers = [path for path in repo.rglob("*") if path.lstat().st_uid != owner]
    assert strangers == []


def test_a_repository_is_cloned_from_and_read(here: Host, repo: Path) -> None:
    agent = here.spawn({"allowed_read_paths": [str(repo)]})
    assert inside(agent, "/workspace", f"git clone -q {repo} copy && cat copy/a") == "1\n0"
    assert inside(agent, repo, "git log --format=%s").startswith("1\n")
    assert inside(agent, repo, "echo x >> a").endswith("2")


def test_a_worktree_brings_the_repository_that_it_belongs_to(here: Host, repo: Path) -> None:
    tree = here.files / "tree"
    git(repo, "worktree", "add", "-q", str(tree), "-b", "topic")
    agent = writer(here, tree)
    assert inside(agent, tree, "git status --porcelain") == "0"
    assert inside(agent, tree, f"echo 2 >> a && git {' '.join(WHO)} commit -qam topic") == "0"
    assert git(repo, "log", "--format=%s", "topic").split() == ["topic", "1"]
    told = here.client.why("READ", {"path": f"{repo}/.git/HEAD"}, agent_id=agent.id)
    assert (told["allowed"], told["attempt"]["happened"]) == (False, "succeeded")
    assert agent.exposed["write"] == [str(tree), f"{repo}/.git"]
    assert inside(agent, tree, f"cat {repo}/a")[-1] != "0"
    reader = here.spawn({"allowed_read_paths": [str(tree)]})
    assert inside(reader, tree, "git log --format=%s").startswith("topic\n")
    assert reader.exposed["write"] == []


def test_hooks_and_configuration_stay_the_owners(here: Host, repo: Path) -> None:
    tree = here.files / "tree"
    git(repo, "worktree", "add", "-q", str(tree), "-b", "topic")
    agent = writer(here, repo, tree)
    plant = "printf '#!/bin/sh\\ntouch /tmp/x\\n'"
    for command in (
        f"{plant} > {repo}/.git/hooks/post-commit",
        f"mv {repo}/.git/hooks {repo}/.git/other",
        f"rm -rf {repo}/.git/hooks; test ! -d {repo}/.git/hooks",
        f"mv {repo}/.git {repo}/other",
        f"git -C {repo} config core.fsmonitor /tmp/x",
        f"echo >> {repo}/.git/config",
        f"mv {repo}/.git/config {repo}/.git/other",
        f"rm -f {tree}/.git",
        f"echo gitdir: /tmp > {tree}/.git",
        f"echo /tmp > {repo}/.git/worktrees/tree/commondir",
    ):
        assert inside(agent, "/workspace", command)[-1] != "0", command
    assert "fsmonitor" not in (repo / ".git" / "config").read_text()
    assert git(repo, "status", "--porcelain") == ""


def test_hooks_that_are_not_there_cannot_be_planted(here: Host, repo: Path, owner: int) -> None:
    shutil.rmtree(repo / ".git" / "hooks")
    agent = writer(here, repo)
    assert f"{repo}/.git/hooks" not in agent.exposed["unguarded"]
    assert inside(agent, repo, "mkdir -p .git/hooks && touch .git/hooks/pre-commit")[-1] != "0"
    hooks = (repo / ".git" / "hooks").stat()
    assert (hooks.st_uid, hooks.st_gid) == (owner, owner)
    assert list((repo / ".git" / "hooks").iterdir()) == []


def test_hooks_by_a_link_are_told_to_be_unguarded(here: Host, repo: Path) -> None:
    (repo / ".git" / "hooks").rename(repo / "githooks")
    (repo / ".git" / "hooks").symlink_to("../githooks")
    agent = writer(here, repo)
    assert f"{repo}/.git/hooks" in agent.exposed["unguarded"]
    assert inside(agent, repo, "git status --porcelain")[-1] == "0"


def test_what_is_named_for_writing_can_be_written(here: Host, repo: Path) -> None:
    agent = writer(here, repo, repo / ".git" / "config")
    assert inside(agent, repo, "echo '[x]' >> .git/config") == "0"
    assert inside(agent, repo, "touch .git/hooks/pre-commit")[-1] != "0"
    agent = writer(here, repo, f"{repo}/.git/**")
    assert inside(agent, repo, "git config core.editor true && touch .git/hooks/pre-commit") == "0"


def test_a_bare_repository_is_one_too(here: Host, repo: Path) -> None:
    git(repo, "clone", "-q", "--bare", ".", str(here.files / "bare.git"))
    bare = here.files / "bare.git"
    agent = writer(here, bare)
    assert inside(agent, "/workspace", f"git clone -q {bare} copy") == "0"
    commit = f"git {' '.join(WHO)} commit -qam pushed"
    assert inside(agent, "/workspace/copy", f"echo 3 >> a && {commit} && git push -q") == "0"
    assert git(bare, "log", "-1", "--format=%s") == "pushed\n"
    assert inside(agent, bare, "touch hooks/post-receive")[-1] != "0"


@pytest.mark.parametrize("name", ["sub", "lib/sub"])
def test_a_submodules_hooks_stay_the_owners(here: Host, repo: Path, name: str) -> None:
    other = here.files / "super"
    other.mkdir()
    if os.getuid() == 0:
        os.chown(other, repo.stat().st_uid, repo.stat().st_gid)
    git(other, "init", "-q", ".")
    add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo), name]
    git(other, *add)
    agent = writer(here, other)
    assert inside(agent, other / name, "git status --porcelain") == "0"
    for path in ("hooks/pre-commit", "config"):
        assert inside(agent, other, f"echo >> .git/modules/{name}/{path}")[-1] != "0"


def test_submodules_that_an_agent_makes_without_end_keep_no_other_from_the_repository(
    here: Host, repo: Path
) -> None:
    agent = writer(here, repo)
    made = (
        "d=.git/modules; for i in $(seq 40); do for n in a b c; do "
        "mkdir -p $d/$n/objects $d/$n/refs; cp .git/HEAD $d/$n/; done; d=$d/a/modules; done"
    )
    assert inside(agent, repo, made) == "0"
    later = writer(here, repo)
    assert f"{repo}/.git/modules/**" in later.exposed["unguarded"]
    assert inside(later, repo, "git status --porcelain") == "0"
    assert len(list(repo.glob(".git/modules/**/hooks"))) <= 16


@pytest.mark.parametrize("lie", ["gitdir", "commondir", "unknown", "owner"])
def test_no_worktree_brings_what_does_not_know_it(
    here: Host, repo: Path, lie: str, owner: int
) -> None:
    """What stands in a worktree is an agent's work and names any directory."""
    tree = here.files / "tree"
    git(repo, "worktree", "add", "-q", str(tree), "-b", "topic")
    fake = tree / "fake" / ".git"
    if lie == "gitdir":
        (tree / ".git").write_text(f"gitdir: {repo}/.git\n")
    elif lie == "commondir":
        (fake / "worktrees" / "x").mkdir(parents=True)
        for name in ("objects", "refs"):
            (fake / name).mkdir()
        (fake / "HEAD").write_text("ref: refs/heads/main\n")
        (fake / "worktrees" / "x" / "gitdir").write_text(f"{tree}/.git\n")
        (fake / "worktrees" / "x" / "commondir").write_text(f"{repo}/.git\n")
        (tree / ".git").write_text(f"gitdir: {fake}/worktrees/x\n")
    elif lie == "unknown":
        (repo / ".git" / "worktrees" / "tree" / "gitdir").write_text(f"{here.files}/other/.git\n")
    elif os.getuid() == 0:
        os.chown(repo / ".git", 4343, 4343)
    else:
        pytest.skip("only root can give a directory away")
    agent = writer(here, tree)
    assert agent.exposed["write"] == [str(tree)]
    assert inside(agent, tree, f"ls {repo}/.git")[-1] != "0"
