"""Secrets as variables and as files: in the program, and nowhere else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest, LimitExceeded, NotFound
from clove.kernel.launch.record import AgentRecord, read_record, write_record
from clove.messages.agents import SecretValue, SpawnRequest
from clove.policy import Level, for_level
from tests.adversary.arena import WAYS, Arena, Kernels
from tests.waiting import until

VALUE = "hush-" + "7f3a" * 5
PROGRAM = """
import hashlib, json, os
def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
path = "/run/secrets/id_key"
found = os.stat(path)
own = os.getuid()
with open(path) as file:
    text = file.read()
def errno_of(call):
    try:
        call()
    except OSError as error:
        return type(error).__name__
    return "done"
print(json.dumps({
    "variable": digest(os.environ["TOKEN"]),
    "file": digest(text),
    "mode": oct(found.st_mode & 0o7777),
    "own": found.st_uid == own,
    "names": os.listdir("/run/secrets"),
    "write": errno_of(lambda: open(path, "w")),
    "remove": errno_of(lambda: os.unlink(path)),
    "chmod": errno_of(lambda: os.chmod(path, 0o644)),
    "file_system": next(
        line.split()[2] for line in open("/proc/mounts") if line.split()[1] == "/run/secrets"
    ),
}), flush=True)
"""
SECRETS = {
    "TOKEN": {"value": f"{VALUE}-variable"},
    "id_key": {"value": f"{VALUE}-file\n", "file": True},
}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


EXPECTED = {
    "variable": digest(f"{VALUE}-variable"),
    "file": digest(f"{VALUE}-file\n"),
    "mode": "0o400",
    "own": True,
    "names": ["id_key"],
    "write": "OSError",
    "remove": "OSError",
    "chmod": "OSError",
    "file_system": "tmpfs",
}


def test_a_program_has_its_secrets_and_cannot_change_those_that_are_files(here: Arena) -> None:
    found = here.run(PROGRAM, secrets=SECRETS)
    assert found | {"write": "OSError", "remove": "OSError", "chmod": "OSError"} == EXPECTED
    assert {found[one] for one in ("write", "remove", "chmod")} <= {"OSError", "PermissionError"}


def printed(here: Arena, name: str, count: int) -> list[Any]:
    lines = here.client.logs(name)["lines"]
    found = [json.loads(line["text"]) for line in lines if line["text"].startswith("{")]
    return found if len(found) >= count else []


def test_they_are_there_again_after_a_restart_and_nowhere_else(here: Arena) -> None:
    program = PROGRAM + "import time; time.sleep(100)\n"
    here.begin(program, name="keeper", secrets=SECRETS)
    until(lambda: printed(here, "keeper", 1), "it has read them")
    here.client.restart("keeper", grace=0)
    first, second = until(lambda: printed(here, "keeper", 2), "it has read them again")
    assert (first["file"], second["file"]) == (EXPECTED["file"], EXPECTED["file"])
    client = here.client
    seen = [
        client.list_agents(),
        client.inspect("keeper"),
        client.get_audit_log(limit=1000),
        client.get_all_agent_metrics(),
    ]
    assert client.inspect("keeper")["secrets"] == ["TOKEN", "id_key"]
    assert not [one for one in seen if VALUE in json.dumps(one)]
    client.kill("keeper")
    for directory, _, names in os.walk(
        here.kernel.directory
    ):  # passes over what is removed meanwhile
        for path in (Path(directory, name) for name in names):
            with contextlib.suppress(OSError):  # and sockets
                assert VALUE.encode() not in path.read_bytes(), path
    assert VALUE not in here.kernel.log
    with contextlib.suppress(NotFound):
        assert VALUE not in json.dumps(client.inspect("keeper"))


def test_another_agent_sees_neither(here: Arena) -> None:
    here.begin("import time; time.sleep(100)", name="keeper", secrets=SECRETS)
    other = here.spawn({"level": "unrestricted", "can_message": True})
    code = "import os; found = [os.listdir('/run/secrets'), os.environ.get('TOKEN')]"
    assert other.ask("run", code) == [[], None]


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({"../x": {"value": "v", "file": True}}, "name of a secret"),
        ({"..": {"value": "v", "file": True}}, "name of a secret"),
        ({"a/b": {"value": "v", "file": True}}, "name of a secret"),
        ({"A=B": {"value": "v"}}, "name of a secret"),
        ({"A": {"value": ""}}, "no value"),
        ({"A": {"value": "v\0"}}, "NUL"),
        ({"A": {"valeu": "v"}}, "valeu"),
    ],
)
def test_what_can_be_no_secret_is_refused_without_its_value(
    kernels: Kernels, secrets: Any, said: str
) -> None:
    arena = kernels.arena(*WAYS[1])
    with pytest.raises(InvalidRequest, match=said):
        arena.client.spawn("none", command=["true"], secrets=secrets)


def test_a_file_needs_a_sandbox_and_the_sizes_are_bounded(kernels: Kernels) -> None:
    client = kernels.arena(*WAYS[1]).client
    file = {"id": {"value": "v", "file": True}}
    for fields in ({"sandboxed": False}, {"allow_degraded": True}):
        with pytest.raises(InvalidRequest, match="a sandbox's own memory"):
            client.spawn("none", command=["true"], secrets=file, **fields)  # type: ignore[arg-type]
    many = {f"A{number}": {"value": "v"} for number in range(33)}
    with pytest.raises(LimitExceeded, match="at most 32 secrets"):
        client.spawn("none", command=["true"], secrets=many)
    long = {f"A{number}": {"value": "v" * 65536, "file": True} for number in range(5)}
    with pytest.raises(LimitExceeded, match="at most 262144 bytes"):
        client.spawn("none", command=["true"], secrets=long)


def test_what_is_written_down_of_an_agent_has_their_names_alone() -> None:
    secrets = {"TOKEN": SecretValue(value=VALUE), "id": SecretValue(value=VALUE, file=True)}
    record = AgentRecord(
        agent_id=7,
        ancestors=(1,),
        family=7,
        request=SpawnRequest(name="a", command=["true"], secrets=secrets),
        permissions=for_level(Level.STANDARD),
        network=False,
    )
    text = write_record(record)
    assert VALUE.encode() not in text
    assert VALUE not in repr(record)
    assert read_record(text).request.secrets == {
        "TOKEN": SecretValue(),
        "id": SecretValue(file=True),
    }
