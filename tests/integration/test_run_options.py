"""Options of `clove run` on real kernels; those for which other files have a test of their own are only looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clove.cli.run import run
from tests.integration.cli_user import User
from tests.integration.exposed import ROOT, ROOTLESS, Host, host, kill_all

ROOT_DIRECTORY = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param), "[limits.agents]\ndisk_interval = 0.05\n") as running:
        yield running


@pytest.fixture(scope="module")
def user_of_it(kernel_host: Host) -> User:
    return User(kernel_host)


@pytest.fixture
def user(kernel_host: Host, user_of_it: User) -> Iterator[User]:
    yield user_of_it
    kill_all(kernel_host.client)


def names() -> list[str]:
    """Long names of the options of `clove run`."""
    found = [one for one in run.params if isinstance(one, click.Option)]
    return [name for one in found for name in one.opts if name.startswith("--")]


def test_each_option_stands_in_the_page_about_it_and_in_some_test() -> None:
    page = (ROOT_DIRECTORY / "docs" / "run.md").read_text()
    described = set(re.findall(r"--[a-z][a-z-]*", page))
    assert set(names()) <= described
    paths = [
        path
        for directory in ("tests/integration", "tests/work", "tests/adversary", "docs/tutorial")
        for path in (ROOT_DIRECTORY / directory).rglob("*")
        if path.suffix in (".py", ".sh", ".md")
    ]
    tried = {name for path in paths for name in re.findall(r"--[a-z][a-z-]*", path.read_text())}
    assert set(names()) <= tried


def test_a_secret_is_a_file_of_its_own(user: User) -> None:
    user.file("TOKEN", "xyzzy\n").chmod(0o600)
    line = "stat -c %a:%U $TOKEN_FILE; cat $TOKEN_FILE; ! echo x 2>/dev/null > $TOKEN_FILE"
    done = user("run", "--secret-file", "TOKEN=@TOKEN", "--", "sh", "-c", line)
    assert (done.returncode, done.stdout) == (0, "400:agent\nxyzzy\n"), done.stderr
    done = user("run", "--secret-file", "NOPE", "--", "true")
    assert done.returncode == 1
    assert "no secret NOPE" in done.stderr
    assert "NOPE=@FILE" in done.stderr


def test_its_workspace_has_the_room_that_is_asked_for(user: User) -> None:
    line = "head -c 8M /dev/zero > big; sleep 60"
    done = user("run", "--disk", "1M", "--", "sh", "-c", line)
    if "No space" in done.stderr or "quota" in done.stderr:
        pytest.skip("a quota holds it here (test_disk_quota.py)")
    assert done.returncode == 137
    assert "(disk)" in done.stderr


def test_a_limit_that_the_host_cannot_hold_is_refused_unless_it_may_be_less(user: User) -> None:
    done = user("run", "--pids", "20", "--", "true")
    if done.returncode == 0:
        pytest.skip("a cgroup holds it here")
    assert "--degrade limits" in done.stderr
    count = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[1] < 25)"
    done = user("run", "--degrade", "limits", "--pids", "20", "--", "python3", "-c", count)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert user("run", "--allow-degraded", "--pids", "20", "--", "true").returncode == 0


def test_a_network_is_there_when_it_is_asked_for(user: User) -> None:
    line = "cat /etc/resolv.conf"
    assert "127.0.0.53" in user("run", "--network", "--", "sh", "-c", line).stdout
    assert "127.0.0.53" not in user("run", "--", "sh", "-c", line).stdout


@pytest.mark.parametrize("words", [("--interactive",), ("-i",)])
def test_our_input_is_its_own(user: User, words: tuple[str, ...]) -> None:
    done = user("run", *words, "--", "cat")  # which is empty here
    assert (done.returncode, done.stdout) == (0, "")


def test_a_terminal_needs_one_but_for_what_is_left_running(user: User) -> None:
    done = user("run", "--tty", "--detach-keys", "ctrl-x", "--", "true")
    assert done.returncode == 2
    assert "-t needs a terminal" in done.stderr
    done = user("run", "--tty", "--detach", "--name", "far", "--", "sh", "-c", "test -t 0")
    assert done.returncode == 0, done.stderr
    assert user("wait", "far").returncode == 0
    assert "exit 0" in user("ps", "--all").stdout
    done = user("run", "--detach-keys", "ctrl-", "--tty", "--", "true")
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("--diks", "1M"), "--disk"),
        (("--secret-flie", "A"), "--secret-file"),
        (("--allow-domian", "a.test"), "--allow-domain"),
        (("--degrade", "limit"), "limits"),
        (("--restart", "alway"), "always"),
        (("--level", "standart"), "standard"),
        (("--index", "pipp"), "pip"),
        (("--profile", "codnig"), "coding"),
    ],
)
def test_what_is_misspelt_is_refused_with_the_near_one(
    user: User, words: tuple[str, ...], near: str
) -> None:
    done = user("run", *words, "--", "true")
    assert done.returncode in (1, 2)
    assert near in done.stderr


@pytest.mark.parametrize("size", ["1Q", "-5M", "many", "0"])
def test_a_size_that_is_none_is_refused(user: User, size: str) -> None:
    for option in ("--memory", "--disk", "--tmp", "--shm"):
        done = user("run", f"{option}={size}", "--", "true")
        assert done.returncode == 2, option
        assert option in done.stderr
