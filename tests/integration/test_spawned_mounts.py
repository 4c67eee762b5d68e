"""SPAWN with `mounts`: directories of the host that an agent has whatever its permissions name."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import InvalidRequest, PermissionDenied
from tests.integration.conftest import BOTH, KernelProcess

WRITES = "cat file; (echo mine > new) 2>&1; echo $?"


@pytest.fixture
def data(kernel: KernelProcess) -> Iterator[Path]:
    """A directory that every user may write, with a file."""
    place = Path(kernel.directory, "data")
    place.mkdir(exist_ok=True)
    place.joinpath("file").write_text("yours\n")
    for path, mode in ((Path(kernel.directory), 0o755), (place, 0o777), (place / "file", 0o666)):
        path.chmod(mode)
    yield place
    for left in place.iterdir():
        left.unlink()


def run(client: CloveClient, *command: str, **fields: Any) -> list[str]:
    """The output of a command in a sandbox."""
    reply = client.spawn("mounted", command=command, **fields)
    lines = [line["text"] for line in client.follow_logs(reply["id"])]
    client.wait(reply["id"])
    return lines


def test_what_is_mounted_can_be_read_at_its_path_and_not_written(
    client: CloveClient, data: Path
) -> None:
    lines = run(client, "sh", "-c", WRITES, mounts=[{"path": str(data)}], cwd=str(data))
    assert lines[0] == "yours"
    assert "Read-only file system" in "".join(lines)  # stderr comes by a pipe of its own
    assert not (data / "new").exists()


def test_what_is_mounted_writable_is_written_on_the_host(client: CloveClient, data: Path) -> None:
    mounts = [{"path": f"{data}/", "writable": True}]
    assert run(client, "sh", "-c", WRITES, mounts=mounts, cwd=str(data)) == ["yours", "0"]
    assert (data / "new").read_text() == "mine\n"


def test_a_file_is_mounted_alone(client: CloveClient, data: Path) -> None:
    (data / "other").write_text("")
    lines = run(client, "ls", str(data), mounts=[{"path": str(data / "file")}])
    assert lines == ["file"]


@pytest.mark.parametrize("level", ["standard", "sandboxed", "readonly", "unrestricted"])
def test_every_level_that_reads_has_it_by_both_doors(
    client: CloveClient, data: Path, script: Any, level: str
) -> None:
    path = str(data / "file")
    text = f"from clove import CloveClient\nprint(open({path!r}).read().strip())\n" + (
        f"print(CloveClient().read_file({path!r})['content'].strip())"
    )
    reply = client.spawn("doors", script(text), mounts=[{"path": str(data)}], permissions=level)
    assert [line["text"] for line in client.follow_logs(reply["id"])] == ["yours", "yours"]


def test_permissions_that_name_other_paths_allow_it_too(client: CloveClient, data: Path) -> None:
    fields: dict[str, Any] = {"permissions": {"allowed_paths": ["/workspace/**"]}}
    mounts = [{"path": str(data), "writable": True}]
    reply = client.spawn("narrow", command=["sleep", "100"], mounts=mounts, **fields)
    assert reply["isolation"]["exposed"]["write"] == [str(data)]
    allowed = client.get_permissions(reply["id"])["permissions"]["allowed_write_paths"]
    assert allowed == ["/workspace/**", str(data)]


def test_the_levels_blocked_paths_stay_blocked(client: CloveClient, data: Path) -> None:
    (data / "secret").write_text("no")
    rules = {"blocked_paths": [str(data / "secret")]}
    mounts = [{"path": str(data)}]
    lines = run(
        client,
        "sh",
        "-c",
        f"cat {data}/secret 2>&1; cat {data}/file",
        mounts=mounts,
        permissions=rules,
    )
    assert "Permission denied" in lines[0]
    assert lines[1] == "yours"
    with pytest.raises(PermissionDenied) as refused:
        run(client, "true", mounts=[{"path": str(data / "secret")}], permissions=rules)
    assert "blocked_paths" in refused.value.rule


@pytest.mark.parametrize(
    ("mounts", "message"),
    [
        ([{"path": "data"}], "absolute"),
        ([{"path": "/data/../etc"}], "absolute"),
        ([{"path": "/data/a*"}], "wildcards"),
        ([{"path": "/nowhere/at/all"}], "not there"),
        ([{"path": "/"}], "cannot be mounted"),
        ([{"path": "/tmp"}], "cannot be mounted"),
        ([{"path": "/workspace/x"}], "cannot be mounted"),
        ([{"path": "/var/tmp/x"}], "cannot be mounted"),
        ([{"path": "/usr/share", "writable": True}], "cannot be mounted"),
        ([{"path": "/run"}], "cannot be mounted"),
        ([{"path": "/srv", "as": "here"}], "absolute"),
        ([{"path": "/srv", "as": "/a/../b"}], "absolute"),
        ([{"path": "/srv", "as": "/usr/x"}], "something else is there"),
        ([{"path": "/srv", "as": "/bin/x"}], "something else is there"),
        ([{"path": "/srv", "as": "/tmp/x"}], "something else is there"),
        ([{"path": "/srv", "as": "/workspace/x"}], "something else is there"),
        ([{"path": "/srv", "as": "/srv/x"}], "something else is there"),
        ([{"path": "/srv/x", "as": "/srv"}], "something else is there"),
        ([{"path": "/srv", "as": "/a"}, {"path": "/opt/x", "as": "/a"}], "something else"),
        ([{"path": "/srv", "writeable": True}], "no field `mounts.*writeable"),
    ],
)
def test_what_cannot_be_mounted_is_refused(
    client: CloveClient, mounts: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        run(client, "true", mounts=mounts)


def test_what_would_be_writable_against_its_wish_is_refused(
    client: CloveClient, data: Path
) -> None:
    inner = {"path": str(data / "file")}
    with pytest.raises(InvalidRequest, match="would be writable, too"):
        run(client, "true", mounts=[{"path": str(data), "writable": True}, inner])
    lines = run(
        client,
        "sh",
        "-c",
        f"echo x >> {data}/file; echo $?",
        mounts=[{"path": str(data)}, {**inner, "writable": True}],
    )
    assert lines == ["0"]


@pytest.mark.parametrize("warm", [None, False])
def test_it_can_be_seen_by_another_path_as_well(
    client: CloveClient, data: Path, script: Any, warm: bool | None
) -> None:
    """By a link: rules, and what the program is told of where it is, are about the real path."""
    text = "import os\nfrom clove import CloveClient\n" + (
        "print(open('/srv/in/file').read().strip(), os.getcwd())\n"
        "print(CloveClient().read_file('/srv/in/file')['content'].strip())"
    )
    reply = client.spawn(
        "linked",
        script(text),
        mounts=[{"path": str(data), "as": "/srv/in"}],
        cwd="/srv/in",
        warm=warm,
    )
    lines = [line["text"] for line in client.follow_logs(reply["id"])]
    assert lines == [f"yours {data}", "yours"]


def test_a_link_where_the_interpreter_lies_is_refused(client: CloveClient, data: Path) -> None:
    outer = "/" + sys.prefix.split("/")[1]
    if outer in ("/usr", "/opt"):
        pytest.skip("the interpreter lies in the system")
    with pytest.raises(InvalidRequest, match="cannot be seen as"):
        run(client, "true", mounts=[{"path": str(data), "as": outer}])


def test_a_link_is_refused_with_where_it_leads(client: CloveClient, data: Path) -> None:
    link = data / "link"
    link.symlink_to("/srv")
    with pytest.raises(InvalidRequest, match="by a link") as refused:
        run(client, "true", mounts=[{"path": str(link)}])
    assert "/srv" in refused.value.hint


@pytest.mark.parametrize("level", ["readonly", "minimal"])
def test_what_a_level_cannot_use_is_refused(client: CloveClient, data: Path, level: str) -> None:
    mounts = [{"path": str(data), "writable": level == "readonly"}]
    with pytest.raises(PermissionDenied) as refused:
        run(client, "true", mounts=mounts, permissions=level)
    assert level in refused.value.rule


def test_without_a_sandbox_there_is_nothing_to_mount(client: CloveClient, data: Path) -> None:
    with pytest.raises(InvalidRequest, match="without a sandbox"):
        run(client, "true", mounts=[{"path": str(data)}], sandboxed=False)


SPAWNS = """
import json
from clove import CloveClient
with CloveClient() as k:
    for path in PATHS:
        try:
            reply = k.spawn("child", command=["cat", path + "/file"], mounts=[{"path": path}])
            print(json.dumps([line["text"] for line in k.follow_logs(reply["id"])]))
            k.wait(reply["id"])
        except Exception as error:
            print(json.dumps(error.rule))
"""


@BOTH
def test_an_agent_grants_no_more_than_it_sees(
    client: CloveClient, data: Path, script: Any, sandboxed: bool
) -> None:
    other = data.parent / "other"
    other.mkdir(exist_ok=True)
    os.chmod(other, 0o755)
    rules = {"can_spawn": True, "allowed_read_paths": [str(data), f"{data.parent}/*.py"]}
    path = script(SPAWNS.replace("PATHS", repr([str(data), str(other)])))
    reply = client.spawn("parent", path, permissions=rules, sandboxed=sandboxed)
    found = [json.loads(line["text"]) for line in client.follow_logs(reply["id"])]
    if sandboxed:
        assert found == ["mounts", "mounts"]
    else:
        assert found == [["yours"], "allowed_read_paths"]


def test_a_restart_has_what_is_still_allowed(client: CloveClient, data: Path) -> None:
    text = f"cat {data}/file; test -e again && exit 0; touch again; sleep 0.1; exit 1"
    reply = client.spawn(
        "kept",
        command=["sh", "-c", text],
        mounts=[{"path": str(data)}],
        restart_policy="on-failure",
    )
    lines = [line["text"] for line in client.follow_logs(reply["id"])]
    assert lines == ["yours", "yours"]


def test_a_mount_can_be_taken_back(client: CloveClient, data: Path) -> None:
    reply = client.spawn("less", command=["sleep", "100"], mounts=[{"path": str(data)}])
    assert not client.set_permissions({"can_think": False}, agent_id=reply["id"])["restart_needed"]
    changed = client.set_permissions({"blocked_paths": [str(data)]}, agent_id=reply["id"])
    assert changed["restart_needed"]


def test_both_ways_have_the_same_mounts(client: CloveClient, data: Path) -> None:
    """Forked from the zygote, whose own root has none of this, or started by the helper."""
    found: dict[bool, set[tuple[str, ...]]] = {}
    for number in range(100):
        reply = client.spawn(
            f"both-{number}",
            command=["cat", "/proc/self/mountinfo"],
            mounts=[{"path": str(data), "writable": True}],
            permissions={"blocked_paths": [str(data / "file")]},
            warm=None if number else False,
        )
        lines = [line["text"].split() for line in client.follow_logs(reply["id"])]
        found[reply["warm"]] = {(*line[3:6], *line[6 : line.index("-") + 2]) for line in lines}
        if len(found) == 2:
            break
    warm, cold = found[True], found[False]

    def without_names(mounts: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
        """Without the directories of the agent itself on the host."""
        return {one[1:] for one in mounts}

    assert without_names(warm) == without_names(cold)
    assert len(warm) == len(cold)
