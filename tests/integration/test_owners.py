"""Whose the files are that an agent was granted, inside and on the host (docs/owners.md)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.exposed import ROOT, Agent, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

OTHER = 4343


@pytest.fixture(params=["warm", "cold"])
def start(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    with kernel_host.emptied() as emptied:
        emptied.files.chmod(0o755)
        yield emptied


@pytest.fixture
def rooted(here: Host) -> Host:
    if here.who != ROOT:
        pytest.skip("an ordinary user's kernel has one owner alone")
    return here


def owner_of(here: Host) -> int:
    return here.files.stat().st_uid


def private(here: Host, name: str, owner: int | None = None, mode: int = 0o600) -> str:
    """A file that only its owner may read, in directories that only he may enter."""
    path = here.files / name
    uid = owner_of(here) if owner is None else owner
    for directory in list(reversed(path.relative_to(here.files).parents))[1:]:
        (here.files / directory).mkdir(mode=0o700, exist_ok=True)
        _give(here.files / directory, uid)
    path.write_text("host")
    path.chmod(mode)
    _give(path, uid)
    return str(path)


def _give(path: Path, uid: int) -> None:
    if os.getuid() == 0:
        os.chown(path, uid, uid)


def spawn(here: Host, start: str, **permissions: Any) -> Agent:
    return here.spawn(permissions, warm=start == "warm")


def seen(agent: Agent, path: str) -> Any:
    """Whose a file is inside: `own`, or a user id."""
    code = f"import os; uid = os.stat({path!r}).st_uid"
    return agent.ask("run", f"{code}; found = 'own' if uid == os.getuid() else uid")


def test_a_granted_directory_belongs_to_the_agent_inside_and_to_its_owner_outside(
    here: Host, start: str
) -> None:
    path = private(here, "repo/notes")
    agent = spawn(here, start, allowed_paths=[f"{here.files}/repo"])
    assert agent.both("read", path) == ("yes:host", "yes:host")
    assert agent.both("write", path) == ("yes:", "yes:")
    assert seen(agent, path) == seen(agent, f"{here.files}/repo") == "own"
    made = f"{here.files}/repo/new"
    assert agent.ask("direct", "write", made) == "yes:"
    assert agent.ask("syscall", "write", f"{made}er") == "yes:"
    for name in (path, made, f"{made}er"):
        assert (os.stat(name).st_uid, os.stat(name).st_gid) == (owner_of(here),) * 2
    assert seen(agent, made) == "own"


def test_the_next_agent_goes_on_with_what_an_earlier_one_has_made(here: Host, start: str) -> None:
    private(here, "repo/notes")
    made = f"{here.files}/repo/sub/made"
    for number in range(3):
        agent = spawn(here, start, allowed_paths=[f"{here.files}/repo"])
        make = f"import os; os.makedirs('{here.files}/repo/sub', exist_ok=True)"
        assert agent.ask("run", make) is None
        assert agent.ask("run", f"open('{made}', 'a').write('{number}')") is None
        assert seen(agent, made) == "own"
    assert Path(made).read_text() == "012"


def test_the_agent_has_no_groups_rights_that_the_owner_lacks(rooted: Host, start: str) -> None:
    private(rooted, "repo/notes", OTHER)
    secret = Path(private(rooted, "repo/secret", 0, 0o660))
    for path in (secret.parent, secret):
        os.chown(path, -1, 0)
    os.chown(secret.parent, OTHER, 0)
    agent = spawn(rooted, start, allowed_paths=[f"{rooted.files}/repo"])
    assert agent.ask("direct", "read", f"{rooted.files}/repo/notes") == "yes:host"
    assert agent.ask("direct", "read", str(secret)) == "EACCES"
    assert agent.ask("direct", "write", str(secret)) == "EACCES"


def test_what_is_granted_for_reading_can_be_read_and_not_written(here: Host, start: str) -> None:
    path = private(here, "repo/notes")
    agent = spawn(here, start, allowed_read_paths=[f"{here.files}/repo/**"])
    assert agent.both("read", path) == ("yes:host", "yes:host")
    assert agent.both("write", path) == ("permission_denied", "EROFS")
    code = f"import os; os.chmod({path!r}, 0o644)"
    assert agent.ask("run", code) == "EROFS"


@pytest.mark.parametrize("owner", [0, 4242])
def test_the_owner_may_be_root_or_any_user(rooted: Host, start: str, owner: int) -> None:
    path = private(rooted, "repo/notes", owner)
    agent = spawn(rooted, start, allowed_paths=[f"{rooted.files}/repo"])
    assert agent.isolation["owners"] == {"mapped": {f"{rooted.files}/repo": owner}, "kept": {}}
    made = f"{rooted.files}/repo/new"
    assert agent.both("read", path) == ("yes:host", "yes:host")
    assert agent.ask("direct", "write", made) == "yes:"
    assert os.stat(made).st_uid == owner


def test_paths_of_several_owners_have_each_its_own(rooted: Host, start: str) -> None:
    paths = {owner: private(rooted, f"of-{owner}/notes", owner) for owner in (0, 4242, OTHER)}
    granted = [os.path.dirname(path) for path in paths.values()]
    agent = spawn(rooted, start, allowed_paths=granted)
    for owner, path in paths.items():
        assert agent.both("write", path) == ("yes:", "yes:")
        made = f"{os.path.dirname(path)}/new"
        assert agent.ask("direct", "write", made) == "yes:"
        assert os.stat(made).st_uid == owner


def test_other_owners_in_a_granted_directory_stay_strangers(rooted: Host, start: str) -> None:
    private(rooted, "repo/notes", 4242)
    closed = private(rooted, "repo/closed")
    os.chown(closed, OTHER, OTHER)
    shared = private(rooted, "repo/shared", mode=0o666)
    os.chown(shared, OTHER, OTHER)
    os.chown(rooted.files / "repo", 4242, 4242)
    agent = spawn(rooted, start, allowed_paths=[f"{rooted.files}/repo"])
    assert seen(agent, closed) == seen(agent, shared) == 65534
    assert agent.ask("direct", "read", closed) == "EACCES"
    assert agent.ask("direct", "write", shared) == "yes:"
    assert os.stat(shared).st_uid == OTHER
    assert agent.ask("run", f"import os; os.chown({shared!r}, os.getuid(), -1)") == "EPERM"


def test_a_directory_that_others_could_exchange_is_mounted_as_it_is(rooted: Host) -> None:
    path = private(rooted, "open/repo/notes")
    (rooted.files / "open").chmod(0o777)
    agent = spawn(rooted, "warm", allowed_paths=[f"{rooted.files}/open/repo"])
    [(kept, reason)] = agent.isolation["owners"]["kept"].items()
    assert (kept, agent.isolation["owners"]["mapped"]) == (os.path.dirname(path), {})
    assert f"{rooted.files}/open can be written by all" in reason
    assert agent.ask("direct", "read", path) == "EACCES"


def test_files_that_match_a_pattern_have_their_owner_too(rooted: Host) -> None:
    path = private(rooted, "a.csv", 4242)
    agent = spawn(rooted, "warm", allowed_paths=[f"{rooted.files}/*.csv"])
    assert agent.both("read", path) == ("yes:host", "yes:host")
    assert agent.isolation["owners"]["mapped"] == {path: 4242}


def test_a_dry_run_has_the_same_owners(here: Host) -> None:
    path = private(here, "repo/notes")
    agent = spawn(here, "warm", allowed_paths=[f"{here.files}/repo"])
    for syscall in ("READ", "WRITE"):
        told = here.client.why(syscall, {"path": path}, agent_id=agent.id)
        assert (told["attempt"]["happened"], told["agrees"]) == ("succeeded", True), told


def test_owners_come_again_with_each_start(here: Host) -> None:
    path = private(here, "repo/notes")
    permissions = {"allowed_paths": [f"{here.files}/repo"]}
    agent = here.spawn(permissions, restart_policy="always")
    here.client.send_message({"ask": ["run", "import os; os._exit(3)"]}, to=agent.id)
    assert here.until_restarted(agent)
    assert agent.ask("direct", "read", path) == "yes:host"


def test_a_later_grant_of_the_operators_has_its_owner_at_the_next_start(rooted: Host) -> None:
    path = private(rooted, "repo/notes", 4242)
    agent = rooted.spawn({"can_message": True}, restart_policy="always")
    assert "owners" not in agent.isolation
    answer = rooted.client.set_permissions(
        agent_id=agent.id, permissions={"allowed_read_paths": [f"{rooted.files}/repo"]}
    )
    assert answer["restart_needed"]
    rooted.client.send_message({"ask": ["run", "import os; os._exit(3)"]}, to=agent.id)
    assert rooted.until_restarted(agent)
    assert agent.ask("direct", "read", path) == "yes:host"


def test_nothing_of_the_maps_is_open_in_a_sandbox(rooted: Host, start: str) -> None:
    private(rooted, "repo/notes", 4242)
    agent = spawn(rooted, start, allowed_paths=[f"{rooted.files}/repo"])
    [entry] = [one for one in rooted.client.list_agents() if one["id"] == agent.id]
    pid = entry["pid"]
    status = Path(f"/proc/{pid}/status").read_text().split()
    parent = status[status.index("PPid:") + 1]
    above = Path(f"/proc/{parent}/status").read_text().split()
    for process in (pid, parent, above[above.index("PPid:") + 1]):
        if int(process) == rooted.kernel.pid:
            continue
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                assert not os.readlink(link).startswith("user:")


def test_a_directory_with_too_many_files_to_search_is_mounted_as_it_is() -> None:
    with host(ROOT, "[limits.agents]\nowned_entries = 3\n") as running, running.emptied() as here:
        here.files.chmod(0o755)
        for number in range(4):
            private(here, f"repo/{number}", 4242)
        granted = f"{here.files}/repo"
        agent = spawn(here, "warm", allowed_paths=[granted])
        assert "limits.agents.owned_entries" in agent.isolation["owners"]["kept"][granted]
        assert agent.ask("direct", "read", f"{granted}/0") == "EACCES"
        reader = spawn(here, "warm", allowed_read_paths=[granted])
        assert reader.ask("direct", "read", f"{granted}/0") == "yes:host"
