"""What people tried first and could not do, as small as they wrote it down; root and rootless, warm and cold.

Output that is slow to be read, long lines, partial lines and bytes are in test_run_output.py, granted repositories in
test_repositories.py, many connections in test_gateway.py, and programs of all kinds in tests/adversary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from clove.errors import CloveError
from tests.integration.cli_user import User
from tests.integration.exposed import ROOT, ROOTLESS, Host, host, kill_all

ARGUMENTS = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--topic", default="bees")
print(parser.parse_args())
"""
READ_ONLY = """
from clove import CloveClient
from clove.errors import PermissionDenied
with CloveClient() as kernel:
    for change in (
        lambda: kernel.store("plan", "owned"),
        lambda: kernel.delete_key("plan"),
        lambda: kernel.broadcast("hi all"),
        lambda: kernel.emit_event("SOMETHING"),
    ):
        try:
            print("done", change())
        except PermissionDenied as error:
            print(error.code)
"""
TERMINAL = "import os; ours, theirs = os.openpty(); os.write(theirs, b'x'); print(os.read(ours, 9))"


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def user_of_it(kernel_host: Host) -> User:
    return User(kernel_host)


@pytest.fixture
def user(kernel_host: Host, user_of_it: User) -> Iterator[User]:
    yield user_of_it
    kill_all(kernel_host.client)


@pytest.fixture(params=["warm", "cold"])
def start(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return ("--cold",) if request.param == "cold" else ()


def out(user: User, *words: str) -> str:
    result = user("run", *words)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def listed(user: User) -> list[dict[str, Any]]:
    return [json.loads(line) for line in user("ps", "--json").stdout.splitlines()]


def test_a_script_parses_its_own_arguments(user: User, start: tuple[str, ...]) -> None:
    user.file("arguments.py", ARGUMENTS)
    assert out(user, *start, "arguments.py", "--topic", "ants") == "Namespace(topic='ants')\n"


def test_a_script_imports_what_lies_beside_it(user: User, start: tuple[str, ...]) -> None:
    user.file("beside.py", "x = 1")
    user.file("main.py", "import beside; print(beside.x)")
    assert out(user, *start, "main.py") == "1\n"
    assert out(user, *start, "-m", "main") == "1\n"


def test_a_program_makes_a_terminal(user: User, start: tuple[str, ...]) -> None:
    user.file("terminal.py", TERMINAL)
    assert out(user, *start, "terminal.py") == "b'x'\n"


@pytest.mark.parametrize("level", ["readonly", "minimal"])
def test_one_that_may_only_read_changes_nothing_that_is_shared(
    user: User, kernel_host: Host, start: tuple[str, ...], level: str
) -> None:
    kernel_host.client.store("plan", "the operator's")
    user.file("change.py", READ_ONLY)
    result = user("run", *start, "--level", level, "change.py")
    assert (result.returncode, set(result.stdout.split())) == (0, {"permission_denied"}), result
    assert ("without what lies beside it" in result.stderr) == (level == "minimal")
    assert kernel_host.client.fetch("plan")["value"] == "the operator's"


@pytest.mark.parametrize("limits", [{"mem": 64 << 20}, {"cpu": 2}, {"memmory": 1 << 26}])
def test_limits_that_are_misspelt_are_refused(
    user: User, kernel_host: Host, limits: dict[str, int]
) -> None:
    script = user.file("sleep.py", "import time; time.sleep(100)")
    with pytest.raises(CloveError) as error:
        kernel_host.client.spawn("typo", str(script), limits=limits)
    assert f"there is no field `limits.{next(iter(limits))}`" in str(error.value)
    assert error.value.hint


def test_an_agent_is_found_by_its_name_also_if_that_is_a_number(user: User) -> None:
    user.file("sleep.py", "import time; time.sleep(100)")
    assert user("run", "-d", "--name", "12", "sleep.py").returncode == 0
    [found] = [one for one in listed(user) if one["name"] == "12"]
    assert user("kill", "12").stdout == "killed 12\n"
    assert found["id"] not in {one["id"] for one in listed(user)}


def test_a_question_in_another_shape_is_refused(kernel_host: Host) -> None:
    shaped = [{"role": "user", "parts": [{"text": "What is 2+2?"}]}]
    for messages in (shaped, [{"role": "user", "text": "What is 2+2?"}]):
        with pytest.raises(CloveError, match="there is no field `messages"):
            kernel_host.client.think(messages=messages)
    tool = {"name": "f", "input_schema": {"type": "object"}}
    with pytest.raises(CloveError, match="input_schema"):
        kernel_host.client.think("x", tools=[tool])
