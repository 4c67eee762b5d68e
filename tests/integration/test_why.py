"""WHY through whole kernels: what happens beside what policy says, and nothing of it lasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.errors import PermissionDenied
from tests.integration.exposed import ROOT, ROOTLESS, Host, host
from tests.integration.gateway_upstream import Upstream, upstream
from tests.integration.why_asking import answer, left, state, why
from tests.integration.zygotes import until_preforked, zygote_of
from tests.sandboxes import NEEDS_SANDBOX
from tests.waiting import until

pytestmark = NEEDS_SANDBOX

CONFIG = """
[egress.hosts]
"api.test" = "127.0.0.1"
"dead.test" = "127.0.0.1"
"""


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param), CONFIG) as running:
        yield running


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    with kernel_host.emptied() as emptied:
        yield emptied


@pytest.fixture(scope="module")
def servers(kernel_host: Host) -> Iterator[Upstream]:
    with upstream(kernel_host.kernel.directory) as running:
        yield running


def test_files_are_tried_as_the_agent_sees_them_and_stay_as_they_are(here: Host) -> None:
    read, written = here.file("a"), here.file("out/b")
    secret = here.file("secret/key")
    agent = here.spawn(
        {
            "allowed_read_paths": [f"{here.files}/**"],
            "allowed_write_paths": [f"{here.files}/out/**"],
            "blocked_paths": [f"{here.files}/secret"],
        }
    )
    before = state(here.files)
    table = {
        ("READ", read): (True, "succeeded", True),
        ("WRITE", read): (False, "EROFS", True),
        ("READ", written): (True, "succeeded", True),
        ("WRITE", written): (True, "succeeded", True),
        ("WRITE", f"{here.files}/out/new"): (True, "succeeded", True),
        ("WRITE", f"{here.files}/new"): (False, "EROFS", True),
        ("READ", f"{here.files}/new"): (True, "ENOENT", False),
        ("READ", secret): (False, "ENOENT", True),
        ("READ", "/etc/shadow"): (False, "ENOENT", True),
    }
    found = {(what, path): answer(why(here, agent, what, path=path)) for what, path in table}
    assert found == table
    assert state(here.files) == before


def test_the_sandbox_of_the_attempt_is_like_the_agents(here: Host) -> None:
    agent = here.spawn({"level": "standard"})
    reply = why(here, agent, "READ", path="/workspace/missing")
    found, own = reply["attempt"]["sandbox"], agent.isolation
    assert found == {name: own[name] for name in found}
    assert all(found["namespaces"].values())
    assert reply["agent_id"] == agent.id


def test_the_agents_own_files_are_there_and_its_socket_is_not(here: Host) -> None:
    agent = here.spawn({"level": "unrestricted"})
    agent.ask("run", "open('/workspace/mine', 'w').write('mine'); open('/tmp/mine', 'w')")
    assert answer(why(here, agent, "READ", path="/workspace/mine")) == (True, "succeeded", True)
    assert answer(why(here, agent, "READ", path="/tmp/clove.sock"))[1] == "ENOENT"
    other = why(here, agent, "READ", path="/tmp/mine")
    assert answer(other) == (True, "ENOENT", False)
    assert "its own sandbox's" in other["note"]
    assert agent.ask("direct", "read", "/workspace/mine") == "yes:mine"
    assert agent.ask("run", "import os; found = os.listdir('/workspace')") == ["mine"]


def test_known_differences_are_named(here: Host) -> None:
    first, second = here.file("in/a"), here.file("other/b")
    only_written = here.file("out/c")
    agent = here.spawn(
        {
            "allowed_read_paths": [f"{here.files}/in/**"],
            "allowed_write_paths": [f"{here.files}/out/**"],
            "blocked_paths": [f"{here.files}/in/*.key"],
            "blocked_commands": ["ls -l"],
        }
    )
    later = here.file("in/late.key")
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "own-places": ("READ", {"path": "/etc/passwd"}),
        "own-process": ("READ", {"path": "/proc/self/status"}),
        "writable-is-readable": ("READ", {"path": only_written}),
        "later-names": ("READ", {"path": later}),
        "command-words": ("EXEC", {"command": "ls -l"}),
    }
    for name, (syscall, arguments) in asked.items():
        reply = why(here, agent, syscall, **arguments)
        assert answer(reply) == (False, "succeeded", False), name
        assert name in reply["note"]
    here.client.set_permissions({"allowed_read_paths": [f"{here.files}/other"]}, agent_id=agent.id)
    for path, expected in (
        (first, (False, "succeeded", False)),
        (second, (True, "ENOENT", False)),
    ):
        reply = why(here, agent, "READ", path=path)
        assert answer(reply) == expected
        assert "until-restart" in reply["note"]


def test_the_note_names_what_the_documentation_lists() -> None:
    from clove.kernel.dry_run import diagnosis

    table = Path(__file__).parents[2].joinpath("docs", "agreement.md").read_text()
    source = Path(diagnosis.__file__).read_text()
    names = ["own-places", "own-process", "writable-is-readable", "later-names", "replaced-files"]
    for name in (
        *names,
        "until-restart",
        "own-network",
        "own-requests",
        "command-words",
        "command-names",
    ):
        assert f"`{name}`" in table
        assert name in source


def test_programs_are_found_and_never_run(here: Host) -> None:
    agent = here.spawn({"level": "unrestricted"})
    agent.ask(
        "run",
        "import os\n"
        "open('/workspace/tool', 'w').write('#!/bin/sh\\ntouch /workspace/ran\\n')\n"
        "os.chmod('/workspace/tool', 0o755)\n",
    )
    table: dict[Any, tuple[bool, str, bool]] = {
        "ls -l /": (True, "succeeded", True),
        "cd / && ls": (True, "succeeded", True),
        ("/workspace/tool",): (True, "succeeded", True),
        ("./tool",): (True, "succeeded", True),
        ("no-such-program",): (True, "ENOENT", False),
        ("/etc/passwd",): (True, "EACCES", False),
    }
    for command, expected in table.items():
        words = command if isinstance(command, str) else list(command)
        assert answer(why(here, agent, "EXEC", command=words)) == expected, command
    assert agent.ask("run", "import os; found = os.listdir('/workspace')") == ["tool"]


def test_rules_about_programs_are_tried_as_the_sandbox_holds_them(here: Host) -> None:
    agent = here.spawn({"level": "unrestricted", "blocked_commands": ["ls"]})
    assert answer(why(here, agent, "EXEC", command="ls -l")) == (False, "EACCES", True)
    assert answer(why(here, agent, "EXEC", command="cat")) == (True, "succeeded", True)
    agent = here.spawn("readonly")
    if not agent.isolation["landlock"]:
        pytest.skip("no Landlock here, by which programs are refused")
    assert answer(why(here, agent, "EXEC", command="ls")) == (False, "EACCES", True)


def test_what_the_interpreter_is_told_by_the_agents_environment_does_not_count(here: Host) -> None:
    here.file("lib/json.py", "raise SystemExit('ours')")
    path = here.file("a")
    lies = {"PYTHONPATH": f"{here.files}/lib", "LD_PRELOAD": f"{here.files}/lib/no.so"}
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/**"]}, env={"LD_LIBRARY_PATH": "/x"})
    assert answer(why(here, agent, "READ", path=path)) == (True, "succeeded", True)
    del lies["PYTHONPATH"]
    agent = here.spawn({"allowed_read_paths": [f"{here.files}/**"]}, env=lies)
    assert answer(why(here, agent, "READ", path=path)) == (True, "succeeded", True)


def test_hosts_are_reached_through_a_gateway_that_reports_to_no_log(
    here: Host, servers: Upstream
) -> None:
    plain = servers.servers[0]
    rules = [f"{name}:{plain.port}" for name in ("api.test", "127.0.0.1")]
    agent = here.spawn({"allowed_domains": [*rules, "dead.test:1", "127.0.0.1:1"]}, network=True)
    seen = list(plain.seen)
    url = f"http://api.test:{plain.port}/"
    assert answer(why(here, agent, "HTTP", url=url)) == (True, "succeeded", True)
    table = {
        ("api.test", plain.port): (True, "succeeded", True),
        ("api.test", 22): (False, "ECONNRESET", True),
        ("evil.test", plain.port): (False, "EAI_NONAME", True),
        ("dead.test", 1): (True, "ECONNRESET", False),
    }
    found = {
        (name, port): answer(why(here, agent, "CONNECT", host=name, port=port))
        for name, port in table
    }
    assert found == table
    refused = why(here, agent, "CONNECT", host="evil.test", port=80)
    assert "allowed_domains" in refused["attempt"]["detail"]
    assert plain.seen == seen
    assert here.client.logs(agent.id)["lines"] == []
    entries = here.client.get_audit_log("NETWORK", agent_id=agent.id)["entries"]
    assert entries == []


def test_http_of_an_agent_without_a_network_goes_by_the_kernel(here: Host) -> None:
    agent = here.spawn({"can_http": True})
    reply = why(here, agent, "HTTP", url="https://example.com/")
    allowed, _, agrees = answer(reply)
    assert (allowed, agrees) == (True, False)
    assert "own-network" in reply["note"]


def test_what_is_the_kernels_business_is_not_tried(here: Host) -> None:
    agent = here.spawn({"level": "standard"})
    for syscall in ("THINK", "SPAWN", "SEND"):
        reply = why(here, agent, syscall)
        assert (reply["attempt"]["happened"], reply["agrees"]) == ("not tried", None)
        assert "nothing to try" in reply["attempt"]["detail"]


def test_policy_alone_can_be_asked(here: Host) -> None:
    reply = here.client.why("READ", {"path": "/etc/passwd"}, attempt=False)
    assert (reply["attempt"], reply["agrees"]) == ({}, None)
    assert "words alone" in reply["note"]


def test_the_operator_and_unsandboxed_agents_are_tried_on_the_host(here: Host) -> None:
    path, secret = here.file("a"), here.file("s")
    os.chmod(secret, 0o000)
    root = here.who == ROOT
    before = state(here.files) if os.getuid() == 0 else {}
    permissions = {"level": "unrestricted", "blocked_paths": [path]}
    agent = here.spawn(permissions, sandboxed=False)
    assert answer(why(here, None, "READ", path=path)) == (True, "succeeded", True)
    expected = (True, "succeeded", True) if root else (True, "EACCES", False)
    assert answer(why(here, None, "READ", path=secret)) == expected
    reply = why(here, agent, "READ", path=path)
    assert answer(reply) == (False, "succeeded", False)
    assert "not contained" in reply["note"]
    assert reply["attempt"]["sandbox"] == {}
    assert answer(why(here, None, "WRITE", path=f"{here.files}/new"))[1] == "succeeded"
    assert answer(why(here, None, "EXEC", command="ls")) == (True, "succeeded", True)
    assert (state(here.files) if before else {}) == before


def test_an_agent_asks_about_itself_and_its_descendants(here: Host) -> None:
    agent = here.spawn({"level": "unrestricted"})
    stranger = here.spawn({"level": "standard"})
    ask = (
        "from clove import CloveClient\n"
        "with CloveClient() as client:\n"
        "    reply = client.why('READ', {{'path': '/etc/passwd'}}, {})\n"
        "    found = [reply['agent_id'], reply['attempt']['happened']]\n"
    )
    assert agent.ask("run", ask.format("None")) == [agent.id, "succeeded"]
    refused = (
        "from clove import CloveClient, errors\n"
        "with CloveClient() as client:\n"
        "    try:\n"
        f"        client.why('READ', {{'path': '/x'}}, {stranger.id})\n"
        "    except errors.PermissionDenied as error:\n"
        "        found = error.rule\n"
    )
    assert agent.ask("run", refused) == "descendants"
    assert PermissionDenied.code == "permission_denied"


def test_nothing_is_left(here: Host) -> None:
    agent = here.spawn({"level": "standard"})
    here.client.why("READ", {"path": "/etc/passwd"}, agent.id)
    if zygote_of(here.kernel):
        until_preforked(here.kernel, here.client)  # in place of the one that the agent was made of
    before = left(here)
    for _ in range(3):
        here.client.why("EXEC", {"command": "ls"}, agent.id)
        here.client.why("READ", {"path": "/etc/passwd"})
    until(lambda: left(here) == before, "all is gone that the dry runs had")
