"""`clove run`: scripts with what lies beside them, modules, programs, and what options grant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from tests.integration.cli_shell import Shell

ROOT = os.getuid() == 0


@pytest.fixture
def shell(kernel: Any, tmp_path: Path) -> Shell:
    place = tmp_path.resolve() / "project"
    place.mkdir()
    place.chmod(0o755)
    return Shell(place, kernel.socket)


def test_argparse_sees_what_stood_on_the_command_line(shell: Shell) -> None:
    shell.file(
        "argp.py",
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--topic')\n"
        "print(p.parse_args())",
    )
    assert shell.out("argp.py", "--topic", "bees") == "Namespace(topic='bees')\n"


def test_a_script_has_its_neighbours_and_knows_its_path(shell: Shell) -> None:
    shell.file("helper.py", "x = 1")
    shell.file("data/text", "words")
    shell.file(
        "main.py",
        "import helper, os, sys\nhere = os.path.dirname(__file__)\n"
        "print(helper.x, open(here + '/data/text').read(), here == sys.path[0], os.getcwd())",
    )
    assert shell.out("main.py") == "1 words True /workspace\n"
    (shell.place / "link.py").symlink_to("main.py")
    (shell.place.parent / "elsewhere").symlink_to(shell.place)
    assert shell.out("../elsewhere/link.py") == "1 words True /workspace\n"


def test_neighbours_cannot_be_written(shell: Shell) -> None:
    shell.file("main.py", "open(__file__.replace('main', 'made'), 'w')")
    result = shell("run", "main.py")
    assert "Read-only file system" in result.stderr
    assert result.returncode == 1


def test_a_script_beside_too_much_runs_alone_and_says_so(shell: Shell) -> None:
    shell.file("helper.py", "")
    shell.file("main.py", "import sys\nprint(sys.argv[1:])\nimport helper")
    result = shell("run", "main.py", "-x", HOME=str(shell.place))
    assert result.stdout == "['-x']\n"
    assert "clove: the script runs without what lies beside it" in result.stderr
    assert "No module named 'helper'" in result.stderr


@pytest.mark.skipif(not ROOT, reason="agents of an ordinary user's kernel are that user")
def test_a_script_that_others_may_not_read_runs_all_the_same(shell: Shell) -> None:
    shell.file("main.py", "print('here')").chmod(0o600)
    shell.place.chmod(0o700)
    assert shell("run", "main.py").stdout == "here\n"


def test_modules_packages_and_directories(shell: Shell) -> None:
    shell.file("pkg/__init__.py", "")
    shell.file("pkg/core.py", "x = 'core'")
    shell.file("pkg/__main__.py", "import sys\nfrom . import core\nprint(core.x, sys.argv[1:])")
    shell.file("app/__main__.py", "import beside\nprint(beside.x)")
    shell.file("app/beside.py", "x = 'beside'")
    assert shell.out("-m", "pkg", "-m", "--x") == "core ['-m', '--x']\n"
    assert shell.out("pkg", "a") == "core ['a']\n"
    assert shell.out("app") == "beside\n"
    assert shell.out("-m", "json.tool", "--help").startswith("usage:")


def test_any_program_runs_and_gives_its_exit_code(shell: Shell) -> None:
    assert shell.out("--", "seq", "3") == "1\n2\n3\n"
    result = shell("run", "--", "sh", "-c", "exit $1", "-", "7")
    assert result.returncode == 7
    result = shell("run", "--", "no-such-program")
    assert result.returncode == 1
    assert "no such program: 'no-such-program'" in result.stderr
    assert "--dir" in result.stderr


def test_an_environment_comes_along(shell: Shell) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", shell.place / "v"], check=True)
    where = str(shell.place / "v")
    library = next((shell.place / "v/lib").iterdir()) / "site-packages"
    library.joinpath("only_there.py").write_text("print('found')")
    tool = shell.place / "v/bin/tool"
    tool.write_text(f"#!{where}/bin/python\nimport only_there, sys\nprint(sys.prefix)")
    tool.chmod(0o755)
    shell.file("p.py", "import only_there, sys\nprint(sys.prefix)")
    seen = f"found\n{where}\n"
    assert shell.out("p.py", VIRTUAL_ENV=where) == seen
    assert shell.out("--python", "v", "p.py") == seen
    assert shell.out("--python", "v/bin/python", "p.py") == seen
    assert shell.out("--", "tool", VIRTUAL_ENV=where) == seen
    assert shell.out("-m", "only_there", VIRTUAL_ENV=where) == "found\n"
    assert shell("run", "p.py").returncode == 1


def test_without_a_sandbox_it_runs_here(shell: Shell) -> None:
    shell.file("helper.py", "x = 1")
    shell.file("main.py", "import helper, os, sys\nprint(os.getcwd(), sys.argv[1:])")
    assert shell.out("--unsandboxed", "main.py", "a") == f"{shell.place} ['a']\n"
    assert shell.out("--unsandboxed", "--", "pwd") == f"{shell.place}\n"
    assert shell("run", "--unsandboxed", "--dir", ".", "--", "pwd").returncode == 2


def test_directories_are_granted(shell: Shell) -> None:
    (shell.place / "out").mkdir()
    shell.file("in", "text")
    assert shell.out("--dir", ".", "--", "sh", "-c", "pwd; cp in made") == f"{shell.place}\n"
    assert (shell.place / "made").read_text() == "text"
    made = "pwd; touch here 2>/dev/null || echo no; cp in out/made"
    assert shell.out("--dir", ".:ro", "--dir", "out", "--", "sh", "-c", made) == (
        f"{shell.place}\nno\n"
    )
    assert (shell.place / "out/made").read_text() == "text"


def test_what_stays_read_only_is_told(shell: Shell) -> None:
    result = shell("run", "--dir", str(Path(sys.prefix, "bin")), "--", "true")
    assert result.returncode == 0
    assert "stays read-only" in result.stderr


def test_a_directory_is_seen_by_another_path_as_well(shell: Shell) -> None:
    shell.file("in", "text")
    words = ("--dir", ".:ro:/mnt/work", "--", "sh", "-c", "pwd; cat /mnt/work/in")
    assert shell.out(*words) == "/mnt/work\ntext"


def test_variables_are_set(shell: Shell) -> None:
    shell.file("env", "A=file\nB='of file'\n")
    words = ["--env-file", "env", "-e", "A=option", "-e", "HERE", "--", "sh", "-c"]
    assert shell.out(*words, 'echo "$A $B $HERE"', HERE="here") == "option of file here\n"


def test_rules_of_options_hold(shell: Shell) -> None:
    shell.file("open", "open")
    shell.file("secret", "secret")
    words = ["--dir", ".:ro", "--deny", "./secret", "--deny", "curl", "--", "sh", "-c"]
    assert shell.out(*words, "cat open; cat secret 2>&1 || true").startswith(
        "opencat: secret: Perm"
    )
    result = shell("run", "--allow-exec", "cat", "--dir", ".:ro", "--", "cat", "open")
    assert result.stdout.strip() == "open"
    result = shell("run", "--allow-exec", "cat", "--", "ls")
    assert (result.returncode, "allowed_commands" in result.stderr) == (1, True)
    result = shell("run", "--level", "readonly", "--dir", ".", "open")
    assert (result.returncode, "readonly" in result.stderr) == (1, True)


def test_permissions_of_options(shell: Shell, kernel: Any) -> None:
    words = ["--allow-domain", "example.com:443", "--level", "sandboxed", "--dir", ".:ro"]
    result = shell("run", "-d", "--name", "ruled", *words, "--", "sleep", "100")
    assert result.returncode == 0, result
    with CloveClient(kernel.socket) as client:
        agent = next(one for one in client.list_agents() if one["name"] == "ruled")
        found = client.get_permissions(agent["id"])["permissions"]
        client.kill(agent["id"])
    assert (found["level"], found["can_http"]) == ("sandboxed", True)
    assert found["allowed_domains"] == ["example.com:443"]
    assert str(shell.place) in found["allowed_read_paths"]
    assert str(shell.place) not in found["allowed_write_paths"]


def test_scratch_has_the_size_that_is_asked_for(shell: Shell) -> None:
    sizes = "df --output=size -B1 /tmp /dev/shm | tail -n 2"
    found = shell.out("--tmp", "8M", "--shm", "4M", "--", "sh", "-c", sizes).split()
    assert found == [str(8 << 20), str(4 << 20)]


def test_it_is_ended_after_its_time(shell: Shell) -> None:
    began = time.monotonic()
    result = shell("run", "--timeout", "0.3s", "--", "sleep", "100")
    assert result.returncode == 128 + 15
    assert "timeout" in result.stderr
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["--memry", "1M", "x.py"], "--memory"),
        (["--level", "standrd", "x.py"], "did you mean standard"),
        (["--restart", "on-fail", "x.py"], "did you mean on-failure"),
        (["--dir", "nowhere", "x.py"], "'nowhere' is not there"),
        (["--cpus", "many", "x.py"], "number of processors"),
        (["--timeout", "soon", "x.py"], "time span"),
        (["mian.py"], "did you mean main.py"),
        (["--"], "what shall run"),
        (["-m"], "what shall run"),
        ([], "what shall run"),
    ],
)
def test_what_is_misspelt_is_told_with_the_near_name(
    shell: Shell, words: list[str], near: str
) -> None:
    shell.file("main.py", "")
    result = shell("run", *words)
    assert result.returncode == 2
    assert near in result.stderr


def test_a_misspelt_command_too(shell: Shell) -> None:
    result = shell("inspekt")
    assert (result.returncode, "did you mean inspect?" in result.stderr) == (2, True)


def test_an_agent_is_found_by_a_name_of_digits(shell: Shell) -> None:
    assert shell("run", "-d", "--name", "12", "--", "sleep", "100").returncode == 0
    listed = [json.loads(line) for line in shell("ps", "--json").stdout.splitlines()]
    number = next(one["id"] for one in listed if one["name"] == "12")
    assert shell("why", "12", "READ", "/etc/passwd").returncode == 0
    assert shell("logs", "12").returncode == 0
    assert shell("kill", "12").stdout == "killed 12\n"
    assert shell("logs", "12").returncode == 0, "an ended one too"
    assert shell("kill", str(number)).returncode == 1


def test_the_table_shows_what_runs(shell: Shell) -> None:
    shell("run", "-d", "--name", "shown", "--", "sleep", "100")
    table = shell("ps").stdout
    shell("kill", "shown")
    assert table.splitlines()[0].split()[-1] == "COMMAND"
    assert "sleep 100" in table
