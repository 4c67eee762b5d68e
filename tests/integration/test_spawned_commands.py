"""SPAWN with `command`: any program, with the arguments that it is given and no others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import CloveError, InvalidRequest, NotFound, PermissionDenied
from tests.integration.conftest import BOTH, SLEEP, until_up

HERE = sys.executable


def output(client: CloveClient, reply: Any) -> list[str]:
    """The lines of an agent that has been spawned, once it has ended."""
    return [line["text"] for line in client.follow_logs(reply["id"])]


@BOTH
def test_a_command_gets_what_stands_in_it_and_finds_its_socket(
    client: CloveClient, sandboxed: bool
) -> None:
    words = ["sh", "-c", 'echo "$0:$#:$1"; test -S "$CLOVE_SOCKET" && echo there', "a b", "", "c"]
    reply = client.spawn("words", command=words, sandboxed=sandboxed)
    assert output(client, reply) == ["a b:2:", "there"]
    assert client.wait("words")["exit_code"] == 0


def test_a_program_is_looked_up_inside(client: CloveClient, kernel: Any) -> None:
    """Not in the PATH of the one that spawns it: it may name nothing of the sandbox."""
    env = {"PATH": "/workspace/bin:/usr/bin:/bin"}
    made = "mkdir bin; printf '#!/bin/sh\\necho mine' > bin/true; chmod +x bin/true; exec true"
    reply = client.spawn("lookup", command=["sh", "-c", made], env=env)
    assert output(client, reply) == ["mine"]
    outside = Path(kernel.directory, "tool")
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    with pytest.raises(NotFound, match="no such program: 'tool'"):
        client.spawn("tool", command=["tool"], env={"PATH": kernel.directory})


@BOTH
def test_a_program_that_is_not_there_is_an_error_of_spawn(
    client: CloveClient, sandboxed: bool
) -> None:
    with pytest.raises(NotFound, match="no such program: 'no-such-program'"):
        client.spawn("missing", command=["no-such-program", "x"], sandboxed=sandboxed)
    assert client.list_agents() == []


@BOTH
def test_it_starts_in_the_directory_that_is_named(client: CloveClient, sandboxed: bool) -> None:
    reply = client.spawn("where", command=["pwd"], cwd="/usr/lib", sandboxed=sandboxed)
    assert output(client, reply) == ["/usr/lib"]
    with pytest.raises(NotFound, match="no such directory: '/usr/nowhere'"):
        client.spawn("nowhere", command=["pwd"], cwd="/usr/nowhere", sandboxed=sandboxed)


@pytest.mark.parametrize("warm", [True, False])
def test_a_script_starts_in_the_directory_that_is_named(
    client: CloveClient, script: Any, warm: bool
) -> None:
    path = script("import os, sys\nprint(os.getcwd(), sys.argv[1])")
    reply = client.spawn("scripted", path, cwd="/usr", warm=warm)
    assert output(client, reply) == ["/usr /tmp/clove.sock"]


def test_what_it_does_itself_starts_there_too(client: CloveClient, kernel: Any) -> None:
    text = "import time\nfrom clove import CloveClient\nk = CloveClient()\n" + (
        "print(k.read_file('os-release')['success'], k.exec('pwd')['stdout'].strip())"
    )
    reply = client.spawn("relative", command=[HERE, "-c", text], cwd="/usr/lib")
    assert output(client, reply) == ["True /usr/lib"]


@pytest.mark.parametrize("warm", [True, False])
def test_no_directory_is_reached_through_descriptors(
    client: CloveClient, script: Any, warm: bool
) -> None:
    """What starts a program holds some that are not the program's."""
    path = script("import os\nprint(os.getcwd())")
    for place in (*map("fd/{}".format, range(20)), "root", "cwd"):
        with pytest.raises(CloveError, match="directory"):
            client.spawn("through", path, cwd=f"/proc/self/{place}", warm=warm)


def test_the_kernels_interpreter_runs_a_script_warm_and_as_python_would(
    client: CloveClient,
) -> None:
    made = (
        "open('/workspace/x.py', 'w').write('import sys; print(sys.argv, __file__, sys.path[0])')"
    )
    again = f"import os; {made}; os.execv({HERE!r}, [{HERE!r}, '/workspace/x.py', '-v'])"
    cold = output(client, client.spawn("cold", command=[HERE, "-c", again]))
    assert cold == ["['/workspace/x.py', '-v'] /workspace/x.py /workspace"]
    library = Path(sys.modules["argparse"].__file__ or "").parent / "this.py"
    reply = client.spawn("warm", command=[HERE, str(library), "x"])
    assert reply["warm"]
    assert "The Zen of Python, by Tim Peters" in output(client, reply)


def until_warm(client: CloveClient, *command: str, **fields: Any) -> list[str]:
    """The output of a command that has started warm."""
    for number in range(100):
        reply = client.spawn(f"warm-{number}", command=command, **fields)
        lines = output(client, reply)
        if reply["warm"]:
            return lines
    pytest.fail("nothing starts warm")


FACTS = """
ls /proc/$$/fd; tr '\\0' ' ' < /proc/$$/cmdline; echo; tr '\\0' '\\n' < /proc/$$/environ | sort
grep -E 'Sig|Cap|NoNewPrivs|Seccomp|NSpid|NSsid|NSpgid' /proc/self/status
cat /proc/self/limits /proc/self/personality /proc/self/oom_score_adj; nice; umask; pwd; date +%Z
"""


def test_both_ways_are_alike_for_programs(client: CloveClient) -> None:
    """Forked from the zygote and executed, or started by the helper: a program sees no difference."""
    command = ("sh", "-c", FACTS)
    warm = until_warm(client, *command, env={"LC_ALL": "C", "PYTHONX": "1"})
    cold = output(
        client,
        client.spawn("cold", command=command, env={"LC_ALL": "C", "PYTHONX": "1"}, warm=False),
    )

    def known(lines: list[str]) -> list[str]:
        return [one for one in lines if not one.startswith(("CLOVE_AGENT_ID", "Uid", "Gid"))]

    assert known(warm) == known(cold)


def test_a_program_that_is_missing_or_closed_is_the_same_error_warm(client: CloveClient) -> None:
    until_warm(client, "true")
    for warm in (None, False):
        with pytest.raises(NotFound, match="no such program: 'nowhere'"):
            client.spawn("nowhere", command=["nowhere"], warm=warm)
        with pytest.raises(PermissionDenied, match="'/etc/passwd'"):
            client.spawn("closed", command=["/etc/passwd"], warm=warm)


def test_what_is_no_text_is_left_to_the_interpreter(client: CloveClient) -> None:
    """A directory with a __main__.py, or an archive, runs as it does with `python DIRECTORY`."""
    directory = Path(sys.modules["json"].__file__ or "").parent.parent / "unittest"
    reply = client.spawn("package", command=[HERE, str(directory)])
    assert "attempted relative import" in output(client, reply)[-1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "SPAWN needs `script` .* or `command`"),
        ({"script": "/a.py", "command": ["true"]}, "not both"),
        ({"command": ["true"], "args": ["x"]}, "`args` are a script's"),
        ({"command": []}, "command"),
        ({"command": [""]}, "no name"),
        ({"command": ["true", "a\0b"]}, "NUL"),
        ({"command": ["true"], "cwd": "here"}, "absolute"),
        ({"command": ["true"], "cwd": "/a/../b"}, "absolute"),
        ({"command": ["true"], "cwd": "/a\0b"}, "NUL"),
    ],
)
def test_what_is_not_clear_is_refused(
    client: CloveClient, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        client.spawn("unclear", **fields)


@pytest.mark.parametrize(
    ("permissions", "command", "rule"),
    [
        ("readonly", ["true"], "level: readonly"),
        ({"blocked_commands": ["git push"]}, ["git", "push"], "blocked_commands"),
        ({"allowed_commands": ["ls"]}, ["cat", "/etc/passwd"], "allowed_commands"),
    ],
)
@BOTH
def test_it_may_run_what_its_permissions_allow(
    client: CloveClient, permissions: Any, command: list[str], rule: str, sandboxed: bool
) -> None:
    with pytest.raises(PermissionDenied) as refused:
        client.spawn("denied", command=command, permissions=permissions, sandboxed=sandboxed)
    assert rule in refused.value.rule


def test_an_allowed_program_and_the_interpreter_start(client: CloveClient) -> None:
    rules = {"allowed_commands": ["ls"]}
    reply = client.spawn("listed", command=["ls", "-d", "/usr"], permissions=rules)
    assert output(client, reply) == ["/usr"]
    reply = client.spawn("reader", command=[HERE, "-c", "print(1)"], permissions="readonly")
    assert output(client, reply) == ["1"]


def test_why_knows_commands(client: CloveClient) -> None:
    asked = {"name": "a", "command": ["curl", "x"], "permissions": {"blocked_commands": ["curl"]}}
    answer = client.why("SPAWN", asked, attempt=False)
    assert (answer["allowed"], "curl" in answer["rule"]) == (False, True)
    assert client.why("SPAWN", {"name": "a", "command": ["ls"]}, attempt=False)["allowed"]
    with pytest.raises(InvalidRequest, match="list of strings"):
        client.why("SPAWN", {"command": "ls"}, attempt=False)


def test_why_tries_what_an_agent_that_is_no_python_would_do(client: CloveClient) -> None:
    reply = client.spawn("sleeper", command=["sleep", "1000"])
    answer = client.why("READ", {"path": "/usr/lib/os-release"}, reply["id"])
    assert (answer["agrees"], answer["attempt"]["happened"]) == (True, "succeeded")
    assert answer["attempt"]["reliable"]


def test_a_restart_runs_the_command_again(client: CloveClient) -> None:
    text = "echo run >> runs; test $(wc -l < runs) = 2 && cat runs || exit 1"
    reply = client.spawn("again", command=["sh", "-c", text], restart_policy="on-failure")
    assert output(client, reply) == ["run", "run"]
    assert client.wait(reply["id"])["restarts"] == 1


def test_a_list_shows_commands_to_those_who_may_see_their_output(
    client: CloveClient, script: Any
) -> None:
    other = client.spawn("secretive", command=["sh", "-c", "sleep 1000", "a b"])
    path = script(
        "import json\nfrom clove import CloveClient\n"
        "print(json.dumps({a['name']: a['command'] for a in CloveClient().list_agents()}))\n"
        + SLEEP
    )
    client.spawn("onlooker", path, args=["x"])
    until_up(client, "onlooker")
    seen = {one["name"]: one["command"] for one in client.list_agents()}
    assert seen == {"secretive": "sh -c 'sleep 1000' 'a b'", "onlooker": f"{path} x"}
    text = client.logs("onlooker")["lines"][0]["text"]
    assert "a b" not in text
    client.kill(other["id"])
