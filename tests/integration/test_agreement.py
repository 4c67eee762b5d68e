"""One policy, two enforcers: each path through the syscall and by open(2), in the same agent.

Both must say the same, or the row is one of the known differences, which
`docs/agreement.md` describes under their names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

FILES = ("notes", "sub/notes", "sub/x.key", "secret/key", "out/old", "out/sub/old", "a.csv")
"""Files of the host, below HOST in the table."""

PATHS = (
    *(f"HOST/{name}" for name in (*FILES, "out/new", "sub/new", "missing/new")),
    "/workspace/mine",
    "/workspace/.env",
    "/tmp/scratch",
    "/etc/hostname",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/os-release",
    "/root/.bashrc",
    "/proc/self/status",
    "/proc/1/environ",
    "/proc/kcore",
    "/sys/kernel/vmcoreinfo",
    "/app/agent.py",
)

POLICIES: dict[str, Any] = {
    "unrestricted": "unrestricted",
    "standard": "standard",
    "sandboxed": "sandboxed",
    "readonly": "readonly",
    "minimal": "minimal",
    "everything": {"allowed_paths": ["/**"]},
    "read": {"allowed_read_paths": ["HOST/**"]},
    "read by name": {"allowed_read_paths": ["HOST"]},
    "one file": {"allowed_read_paths": ["HOST/sub/notes"]},
    "both": {"allowed_paths": ["HOST/**"]},
    "nested": {"allowed_read_paths": ["HOST/**"], "allowed_write_paths": ["HOST/out/**"]},
    "write alone": {"allowed_read_paths": ["/tmp/**"], "allowed_write_paths": ["HOST/out/**"]},
    "tables": {"allowed_paths": ["HOST/*.csv"]},
    "star": {"allowed_paths": ["HOST/*", "HOST/out/*"]},
    "deep star": {"allowed_read_paths": ["HOST/*/sub/**"]},
    "but a secret": {"allowed_paths": ["HOST/**"], "blocked_paths": ["HOST/secret"]},
    "but its contents": {"allowed_paths": ["HOST/**"], "blocked_paths": ["HOST/secret/*"]},
    "but keys": {"allowed_read_paths": ["HOST/**"], "blocked_paths": ["**/*.key", "**/.env"]},
    "but one file": {"allowed_paths": ["HOST/**"], "blocked_paths": ["HOST/sub/notes"]},
    "nothing but blocked": {"allowed_paths": ["HOST/sub/**"], "blocked_paths": ["HOST/sub"]},
    "no reading": {"allowed_paths": ["HOST/**"], "can_read": False},
    "no writing": {"allowed_paths": ["HOST/**"], "can_write": False},
}

OWN = ("/workspace/", "/tmp/", "/etc/hostname", "/etc/passwd", "/etc/os-release", "/app/", "/proc/")


def known_difference(policy: str, operation: str, path: str) -> str | None:
    """The name of a difference that `docs/agreement.md` admits, where there may be one."""
    if path == "/proc/self/status" and operation == "read":
        return "own-process"
    if path.startswith(OWN):
        return "own-places"
    if operation == "read" and path.startswith("HOST/") and policy in ("write alone", "no reading"):
        return "writable-is-readable"
    return None


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def here(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(str(request.param)) as running:
        running.directory()
        yield running


@pytest.fixture
def place(here: Host) -> Path:
    """The directory that the table calls HOST, as it is at first."""
    for name in FILES:
        here.file(name)
    for name in ("out/new", "sub/new"):
        (here.files / name).unlink(missing_ok=True)
    return here.files


def filled(value: Any, place: Path) -> Any:
    """A part of the table with the directory's name in it."""
    if isinstance(value, dict):
        return {key: filled(each, place) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, place) for each in value]
    return value.replace("HOST", str(place)) if isinstance(value, str) else value


def differences(agent: Agent, policy: str, place: Path) -> list[str]:
    """Rows in which the two disagree and that nobody has admitted."""
    found = []
    for path in PATHS:
        for operation in ("read", "write"):
            syscall, direct = agent.both(operation, filled(path, place))
            agree = syscall.startswith("yes:") == direct.startswith("yes:")
            if agree and syscall.startswith("yes:"):
                agree = syscall == direct
            known = known_difference(policy, operation, path)
            if path.startswith("HOST/") and (operation, direct) == ("write", "yes:"):
                # Around what is mounted below /tmp, the sandbox's own /tmp may be written.
                written = Path(filled(path, place))
                if not written.exists() or written.read_text() != "agent":
                    known = "own-places"
            if not agree and known is None:
                found.append(f"{policy}: {operation} {path}: {syscall[:60]} but {direct[:60]}")
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_both_doors_agree(here: Host, place: Path, policy: str) -> None:
    agent = here.spawn(filled(POLICIES[policy], place))
    try:
        for mine in ("/workspace/mine", "/workspace/.env", "/tmp/scratch"):
            agent.ask("run", f"open({mine!r}, 'w').write('mine')")
        assert differences(agent, policy, place) == []
    finally:
        here.client.kill(agent.id)


def test_what_is_granted_is_not_refused_by_both(here: Host, place: Path) -> None:
    """Two doors that are shut agree as well."""
    agent = here.spawn(filled(POLICIES["nested"], place))
    assert agent.both("read", f"{place}/sub/notes") == ("yes:host", "yes:host")
    assert agent.both("write", f"{place}/out/old") == ("yes:", "yes:")
    assert agent.both("read", f"{place}/out/old") == ("yes:agent", "yes:agent")
    here.client.kill(agent.id)


def test_every_known_difference_is_described(here: Host) -> None:
    text = Path(__file__).parents[2].joinpath("docs", "agreement.md").read_text()
    for name in (
        "own-process",
        "own-places",
        "writable-is-readable",
        "later-names",
        "replaced-files",
        "until-restart",
        "special-files",
    ):
        assert f"| `{name}` |" in text


def test_known_differences_of_the_agents_own_paths_show(here: Host, place: Path) -> None:
    agent = here.spawn(filled(POLICIES["write alone"], place))
    syscall, direct = agent.both("read", "/proc/self/status")
    assert (syscall, direct[:4]) == ("permission_denied", "yes:")
    assert agent.both("write", "/workspace/mine") == ("permission_denied", "yes:")
    here.client.kill(agent.id)


def test_known_difference_writable_is_readable(here: Host, place: Path) -> None:
    agent = here.spawn(filled(POLICIES["no reading"], place))
    assert agent.both("read", f"{place}/out/old") == ("permission_denied", "yes:host")
    here.client.kill(agent.id)


def test_known_difference_later_names(here: Host, place: Path) -> None:
    agent = here.spawn(filled(POLICIES["but keys"], place))
    later = here.file("sub/later.key", "later")
    assert agent.both("read", later) == ("permission_denied", "yes:later")
    assert agent.exposed["unguarded"] == ["**/*.key", "**/.env"]
    here.client.kill(agent.id)
    os.unlink(later)


def test_known_difference_replaced_files(here: Host, place: Path) -> None:
    agent = here.spawn(filled(POLICIES["but one file"], place))
    blocked = f"{place}/sub/notes"
    assert agent.both("read", blocked) == ("permission_denied", "EACCES")
    os.replace(here.file("sub/other", "replaced"), blocked)
    assert agent.both("read", blocked) == ("permission_denied", "yes:replaced")
    here.client.kill(agent.id)


def test_known_difference_special_files(here: Host, place: Path) -> None:
    fifo = f"{place}/fifo"
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    agent = here.spawn(filled(POLICIES["read"], place))
    opened = f"import os; os.close(os.open({fifo!r}, os.O_RDONLY | os.O_NONBLOCK)); found = 'yes:'"
    assert agent.ask("run", opened) == "yes:"
    assert agent.ask("syscall", "read", fifo) == "invalid_request"
    here.client.kill(agent.id)
    os.unlink(fifo)
