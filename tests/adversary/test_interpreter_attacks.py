"""SPAWN's `python`: a caller in a sandbox shows a child nothing that it does not see itself.

Rows 2, 3, 6, 19 and 26 of the attacks.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest, PermissionDenied
from clove.kernel.launch.trusted_interpreter import SYSTEMS
from tests.adversary.arena import Arena

pytestmark = [
    pytest.mark.skipif(not SYSTEMS, reason="the system has no Python of its own"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of renameat2"),
]
ATTEMPTS = (Path(__file__).parent / "interpreter_attempts.py").read_text()
REFUSED = {"invalid_request", "not_found", "permission_denied", "isolation_unavailable"}


def attempts(here: Arena, what: str, **fields: Any) -> Any:
    """What an agent that may spawn tells of its attempts."""
    facts = {"what": what, **fields}
    asked = {"can_spawn": True, "allowed_paths": ["/workspace"]}
    found = here.run(ATTEMPTS, json.dumps(facts), permissions=asked)
    print("\n".join(found["messages"]))  # pytest shows it when the test fails
    return found["told"]


@pytest.fixture
def secret(here: Arena) -> str:
    here.file("secret/key")
    return f"{here.files}/secret"


def test_what_is_exchanged_meanwhile_is_never_shown(here: Arena, secret: str) -> None:
    found = attempts(here, "races", secret=secret, tries=12)
    for name, told in found.items():
        assert set(told) <= REFUSED | {"ran", "said nothing", "unavailable"}, (name, told)
    assert found["named by the host"] == ["not_found"]


def test_what_is_no_small_file_is_refused_and_delays_no_request(here: Arena) -> None:
    told = attempts(here, "configs")
    for name in ("fifo", "zero", "socket", "sparse", "directory"):
        assert told[name] == ["invalid_request"], name
    assert here.client.read_file(here.script)["success"]


def test_an_interpreter_is_looked_for_in_the_callers_view_alone(here: Arena, secret: str) -> None:
    told, link = attempts(here, "places", secret=secret)
    linked = told.pop("a link")
    assert set(told.values()) <= REFUSED, told
    assert told["the host's path"] == told["the secret"] == "not_found"
    assert told["a magic link"] == told["dots"] == "permission_denied"
    assert isinstance(linked, str) or linked["found"][f"{link}/lib"] == 2


def test_interpreters_that_a_caller_may_name_work(here: Arena) -> None:
    told = attempts(here, "usual")
    assert told["system"]["prefix"] == "/usr"
    assert told["by name"]["found"]["/workspace"] == []
    for name in ("venv", "dots"):
        assert told[name]["prefix"] == "/workspace/usual", name
        assert told[name]["found"]["/workspace/usual"] == ["bin", "lib", "pyvenv.cfg"]
        assert told[name]["found"]["/workspace"] == ["usual"]
    assert told["mine"]["found"]["/workspace"] == []


def test_who_may_run_only_some_programs_runs_none_that_its_parent_can_write(here: Arena) -> None:
    told = attempts(here, "limited")
    assert told["free"]["prefix"] == "/workspace/limited"
    assert told["child limited"] == "permission_denied"
    assert told["system's"]["prefix"] == "/usr"


def test_a_restart_shows_no_more_than_the_first_start(here: Arena, secret: str) -> None:
    told = attempts(here, "restarts", secret=secret)
    assert told["first"] == ["python3.99"]
    assert told["listings"] == 1
    assert told["state"] != "running"


def installed(here: Arena) -> str:
    """An installation among other things, as `~/.local` is."""
    here.file("local/share/state/key")
    here.file("local/lib/python3.99/os.py")
    here.file("local/lib/secrets/key")
    here.directory("local/bin")
    python = f"{here.files}/local/bin/python3"
    os.symlink("/usr/bin/python3", python)
    here.file("local/pyvenv.cfg", "home = /usr/bin\n")
    return python


def test_of_a_prefix_only_what_is_pythons_is_shown(here: Arena) -> None:
    python = installed(here)
    agent = here.spawn({"level": "unrestricted"}, python=python)
    seen = f"import os; found = sorted(os.listdir('{here.files}/local'))"
    assert agent.ask("run", seen) == ["bin", "lib", "pyvenv.cfg"]


def test_what_is_blocked_in_a_prefix_is_covered(here: Arena) -> None:
    python = installed(here)
    blocked = {"level": "unrestricted", "blocked_paths": [f"{here.files}/local/lib/secrets"]}
    agent = here.spawn(blocked, python=python)
    seen = f"import os; found = os.listdir('{here.files}/local/lib/secrets')"
    assert agent.ask("run", seen) == []
    with pytest.raises(PermissionDenied) as caught:
        here.spawn({"level": "unrestricted", "blocked_paths": [f"{here.files}/**"]}, python=python)
    assert caught.value.rule.startswith("blocked_paths")


def test_no_interpreter_lies_in_the_kernels_own_places(here: Arena) -> None:
    for base in (here.kernel.state_dir, f"{here.kernel.state_dir}/agents"):
        place = Path(base, "py")
        (place / "bin").mkdir(parents=True)
        (place / "lib/python3.99").mkdir(parents=True)
        (place / "bin/python").symlink_to("/usr/bin/python3")
        (place / "pyvenv.cfg").write_text("home = /usr/bin\n")
        if os.geteuid() == 0:
            owner = os.stat(here.kernel.state_dir)
            for path in (place, *place.rglob("*")):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        try:
            with pytest.raises(InvalidRequest, match="no agent may see it"):
                here.spawn("unrestricted", python=f"{place}/bin/python")
        finally:
            shutil.rmtree(place)
