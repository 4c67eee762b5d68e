"""Paths of the host that a sandboxed agent was granted by name, through a whole kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.errors import InvalidRequest, IsolationUnavailable
from tests.integration.exposed import Host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    with kernel_host.emptied() as emptied:
        yield emptied


def test_a_granted_path_is_there_for_both(here: Host) -> None:
    path = here.file("sub/notes")
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/**"]})
    assert agent.both("read", path) == ("yes:host", "yes:host")
    assert agent.both("write", path) == ("permission_denied", "EROFS")
    assert agent.exposed == {"read": [str(here.files)], "write": [], "unguarded": []}


def test_a_path_granted_for_writing_can_be_written(here: Host) -> None:
    path = here.file("out/notes")
    agent = here.spawn({"allowed_paths": [f"{here.files}/out"]})
    assert agent.both("write", path) == ("yes:", "yes:")
    assert Path(path).read_text() == "agent"
    made = f"{here.files}/out/new"
    assert agent.ask("direct", "write", made) == "yes:"
    assert Path(made).read_text() == "agent"


def test_what_was_not_granted_is_not_there(here: Host) -> None:
    granted, other = here.file("granted/a"), here.file("other/b")
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/granted"]})
    assert agent.both("read", granted) == ("yes:host", "yes:host")
    assert agent.both("read", other) == ("permission_denied", "ENOENT")


def test_writing_within_what_is_read(here: Host) -> None:
    read, written = here.file("a"), here.file("out/b")
    agent = here.spawn(
        {"allowed_read_paths": [str(here.files)], "allowed_write_paths": [f"{here.files}/out/**"]}
    )
    assert agent.both("write", written) == ("yes:", "yes:")
    assert agent.both("write", read) == ("permission_denied", "EROFS")
    assert agent.both("read", read) == ("yes:host", "yes:host")


def test_blocked_paths_vanish(here: Host) -> None:
    secret, key, plain = here.file("secret/key"), here.file("sub/x.key"), here.file("sub/x")
    agent = here.spawn(
        {
            "allowed_read_paths": [f"{here.files}/**"],
            "blocked_paths": [f"{here.files}/secret", f"{here.files}/**/*.key"],
        }
    )
    assert agent.both("read", secret) == ("permission_denied", "ENOENT")
    assert agent.both("read", key) == ("permission_denied", "EACCES")
    assert agent.both("read", plain) == ("yes:host", "yes:host")
    assert agent.ask("run", f"import os; found = os.listdir('{here.files}/secret')") == []
    assert agent.exposed["unguarded"] == [f"{here.files}/**/*.key"]


def test_a_wildcard_shows_the_files_that_match(here: Host) -> None:
    table, other = here.file("a.csv"), here.file("b.txt")
    deeper = here.file("sub/c.csv")
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/*.csv"]})
    assert agent.both("read", table) == ("yes:host", "yes:host")
    assert agent.both("read", other) == ("permission_denied", "ENOENT")
    assert agent.both("read", deeper) == ("permission_denied", "ENOENT")
    assert agent.exposed["read"] == [table]


def test_a_star_shows_files_but_no_directories(here: Host) -> None:
    path, deeper = here.file("a"), here.file("sub/b")
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/*"]})
    assert agent.both("read", path) == ("yes:host", "yes:host")
    assert agent.both("read", deeper) == ("permission_denied", "ENOENT")


def test_directories_that_match_are_shown_whole(here: Host) -> None:
    path, other = here.file("one/data/x"), here.file("one/x")
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/*/data/**"]})
    assert agent.both("read", path) == ("yes:host", "yes:host")
    assert agent.both("read", other) == ("permission_denied", "ENOENT")


def test_a_level_alone_shows_nothing(here: Host) -> None:
    for permissions in ("standard", "unrestricted", {"level": "sandboxed"}, {}):
        assert "exposed" not in here.spawn(permissions).isolation


def test_a_missing_path_is_an_error_of_the_spawn(here: Host) -> None:
    with pytest.raises(InvalidRequest) as caught:
        here.spawn({"allowed_read_paths": [f"{here.files}/nowhere/**"]})
    assert f"{here.files}/nowhere is not there" in str(caught.value)
    here.spawn({"allowed_read_paths": [f"{here.files}/*.nothing"]})


def test_a_link_is_named_for_what_it_leads_to(here: Host) -> None:
    here.file("real/a")
    os.symlink("real", here.files / "link")
    with pytest.raises(InvalidRequest) as caught:
        here.spawn({"allowed_read_paths": [f"{here.files}/link/**"]})
    assert caught.value.hint == f"grant {here.files}/real"


@pytest.mark.parametrize("path", ["/sys/**", "/run", "/sys/fs/cgroup", "/var", "/opt/**"])
def test_the_machines_own_is_not_granted(here: Host, path: str) -> None:
    with pytest.raises(InvalidRequest):
        here.spawn({"allowed_read_paths": [path]})


@pytest.mark.parametrize("path", ["/**", "/", "/etc/**", "/proc/**", "/dev", "/tmp/**", "/usr/**"])
def test_what_a_sandbox_has_of_its_own_stays_its_own(here: Host, path: str) -> None:
    agent = here.spawn({"allowed_paths": [path]})
    assert agent.isolation.get("exposed", {"read": []})["read"] == []
    assert agent.ask("direct", "read", "/etc/shadow") == "ENOENT"


def test_a_blocked_name_that_could_be_planted_refuses_the_spawn(here: Host) -> None:
    here.file("a")
    asked = {"allowed_paths": [str(here.files)], "blocked_paths": [f"{here.files}/.git/hooks"]}
    with pytest.raises(IsolationUnavailable) as caught:
        here.spawn(asked)
    assert f"{here.files}/.git/hooks is blocked but not there" in str(caught.value)
    here.file(".git/hooks/pre-commit")
    agent = here.spawn(asked)
    assert agent.both("write", f"{here.files}/.git/hooks/new") == ("permission_denied", "EROFS")


def test_a_sandboxed_agent_cannot_grant_paths_of_the_host(here: Host) -> None:
    path = here.file("a")
    agent = here.spawn({"level": "unrestricted"})
    code = (
        "from clove import CloveClient\n"
        "open('/workspace/child.py', 'w').write('import time; time.sleep(60)')\n"
        "with CloveClient() as client:\n"
        "    found = client.spawn('child', '/workspace/child.py', permissions="
        f"{{'allowed_read_paths': ['{path}']}})['isolation']\n"
    )
    assert "exposed" not in agent.ask("run", code)


def test_an_unsandboxed_agent_grants_no_more_than_it_has(here: Host) -> None:
    here.file("mine/a")
    here.file("other/b")
    script = here.files / "parent.py"
    asked = {"allowed_read_paths": [f"{here.files}/mine/**", f"{here.files}/other/**"]}
    script.write_text(
        "from clove import CloveClient\n"
        "with CloveClient() as client:\n"
        f"    reply = client.spawn('grandchild', {here.script!r}, permissions={asked!r})\n"
        "    client.store('reply', reply)\n"
    )
    permissions = {
        "level": "unrestricted",
        "allowed_read_paths": [f"{here.files}/mine/**", f"{here.files}/parent.py", here.script],
    }
    here.client.spawn("parent", str(script), sandboxed=False, permissions=permissions)
    ended = here.client.wait("parent", timeout=20)
    assert ended["exit_code"] == 0, here.client.logs("parent")
    reply = here.client.fetch("reply")["value"]
    assert reply["isolation"]["exposed"]["read"] == [f"{here.files}/mine"]


def test_new_permissions_say_that_mounts_wait_for_a_restart(here: Host) -> None:
    first, second = here.file("a/x"), here.file("b/x")
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/a"]})
    set_permissions = here.client.set_permissions
    same = set_permissions({"can_http": True}, agent_id=agent.id)
    assert same["restart_needed"] is False
    other = set_permissions({"allowed_read_paths": [f"{here.files}/b"]}, agent_id=agent.id)
    assert other["restart_needed"] is True
    assert agent.both("read", first) == ("permission_denied", "yes:host")
    assert agent.both("read", second) == ("not_found", "ENOENT")


def test_a_restart_mounts_what_is_granted_by_then(here: Host) -> None:
    first, second = here.file("a/x"), here.file("b/x")
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/a"]}, restart_policy="always")
    permissions = {"allowed_read_paths": [f"{here.files}/b"]}
    here.client.set_permissions(permissions, agent_id=agent.id)
    here.client.send_message({"ask": ["run", "import os; os._exit(1)"]}, to=agent.id)
    assert here.until_restarted(agent)
    assert agent.both("read", second) == ("yes:host", "yes:host")
    assert agent.both("read", first) == ("permission_denied", "ENOENT")
    again = here.client.set_permissions(permissions, agent_id=agent.id)
    assert again["restart_needed"] is False
