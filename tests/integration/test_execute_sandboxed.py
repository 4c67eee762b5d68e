"""READ, WRITE and EXEC of a sandboxed agent, through a whole kernel."""

import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from clove import CloveClient
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

AGENT = """
import json, os, sys
from clove import CloveClient
from clove.errors import CloveError

client = CloveClient()
CALLS = json.loads(sys.argv[2])
found = []
for name, arguments in CALLS:
    try:
        found.append(getattr(client, name)(**arguments))
    except CloveError as error:
        found.append({"code": error.code, "rule": error.rule, "error": error.message})
for each in found:  # a value has a limit
    each.update(stdout=each.get("stdout", "")[:2000], length=len(each.get("stdout", "")))
client.store("found", found)
"""


class Kernel(Protocol):
    """What the fixture gives."""

    socket: str


Ask = Callable[..., list[Any]]
_numbers = itertools.count()


@pytest.fixture
def ask(kernel: Kernel) -> Iterator[Ask]:
    """Lets a sandboxed agent make calls; gives their results."""
    directory = tempfile.mkdtemp(dir="/tmp", prefix="c")
    script = Path(directory, "agent.py")
    script.write_text(AGENT)
    with contextlib.closing(CloveClient(kernel.socket)) as client:

        def run(*calls: tuple[str, dict[str, Any]], **fields: Any) -> list[Any]:
            name = f"asker-{next(_numbers)}"
            client.spawn(name, str(script), args=[json.dumps(calls)], **fields)
            ended = client.wait(name, timeout=30)
            assert ended["exit_code"] == 0, json.dumps([ended, client.logs(name)])
            found: list[Any] = client.fetch("found")["value"]
            return found

        yield run
    shutil.rmtree(directory)


def test_files_and_commands_are_those_of_the_sandbox(ask: Ask) -> None:
    written, read, ran, listed = ask(
        ("write_file", {"path": "notes", "content": "mine"}),
        ("read_file", {"path": "/workspace/notes"}),
        ("exec", {"command": "cat notes; pwd; hostname"}),
        ("exec", {"command": "ls /", "cwd": "/"}),
    )
    assert written["bytes_written"] == 4
    assert read["content"] == "mine"
    assert ran["stdout"] == "mine/workspace\nclove\n"
    assert {"app", "tmp", "workspace"} < set(listed["stdout"].split())
    assert "boot" not in listed["stdout"].split()


def test_the_hosts_files_are_not_there(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("host")
    read, wrote, ran = ask(
        ("read_file", {"path": str(tmp_path / "secret")}),
        ("write_file", {"path": str(tmp_path / "new"), "content": "x"}),
        ("exec", {"command": f"cat {tmp_path}/secret"}),
    )
    assert read["code"] == "not_found"
    assert wrote["code"] == "not_found"
    assert ran["exit_code"] == 1
    assert not (tmp_path / "new").exists()


def test_nothing_is_opened_by_the_rights_of_init(ask: Ask) -> None:
    paths = ["/proc/1/environ", "/proc/self/mem", "/proc/self/root/etc/passwd", "/dev/fd/3"]
    found = ask(*(("read_file", {"path": path}) for path in paths), permissions={"can_exec": False})
    assert [each["code"] for each in found] == ["permission_denied"] * len(paths)


def test_system_files_are_read_only(ask: Ask) -> None:
    wrote, ran = ask(
        ("write_file", {"path": "/usr/planted", "content": "x"}),
        ("exec", {"command": "echo x > /usr/planted"}),
    )
    assert wrote["code"] == "permission_denied"
    assert ran["exit_code"] != 0
    assert not Path("/usr/planted").exists()


def test_a_command_over_its_time_is_killed_and_the_agent_goes_on(ask: Ask) -> None:
    slow, after = ask(
        ("exec", {"command": "sleep 1000 & sleep 1000", "timeout": 0.5}),
        ("exec", {"command": "ls /proc | grep -c '^[0-9]'; cat /proc/[0-9]*/comm"}),
    )
    assert (slow["timed_out"], slow["exit_code"]) == (True, 137)
    assert "sleep" not in after["stdout"]


def test_commands_at_once_are_limited(ask: Ask) -> None:
    slow = ("exec", {"command": "sleep 1000", "async_": True})
    found = ask(*[slow] * 16, ("exec", {"command": "true"}))
    assert all(each["status"] == "accepted" for each in found[:16])
    assert found[16]["code"] == "limit_exceeded"


def test_output_is_bounded(ask: Ask) -> None:
    [flood] = ask(("exec", {"command": "yes | head -c 3000000 | tail -c 3000000"}))
    assert flood["truncated"]
    assert flood["length"] == 1 << 20
