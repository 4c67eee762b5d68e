"""From inside a default sandbox, as a root and as an ordinary user's kernel makes it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REFUSED = ("EPERM", "EACCES", "EROFS")
SECRET = "not for agents"


@contextlib.contextmanager
def host_belongings() -> Iterator[dict[str, Any]]:
    """A file, sockets and a port of the host's that anybody on the host may use."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", prefix="c"))
        os.chmod(directory, 0o755)
        secret = Path(directory, "secret")
        secret.write_text(SECRET)
        name = f"clove-test-{secrets.token_hex(8)}"
        path = os.path.join(directory, "s")
        for address in (path, "\0" + name):
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(address)
            server.listen()
        os.chmod(path, 0o777)
        port = stack.enter_context(socket.socket())
        port.bind(("127.0.0.1", 0))
        port.listen()
        yield {
            "pid": os.getpid(),
            "secret": str(secret),
            "path_socket": path,
            "abstract_socket": name,
            "port": port.getsockname()[1],
        }


@pytest.fixture(scope="module", params=["root", "rootless"])
def who(request: pytest.FixtureRequest) -> str:
    """Whose kernel it is."""
    return str(request.param)


@pytest.fixture(scope="module")
def inside(who: str, run_isolated: Callable[..., Any]) -> dict[str, Any]:
    """What every attempt came to."""
    with host_belongings() as facts:
        result = run_isolated(
            who,
            {
                "code": (HERE / "isolation_attempts.py").read_text(),
                "args": [json.dumps(facts)],
                "setuid": {"/usr/bin/id": "id"},
            },
        )
    assert result.get("code") == 0, result
    found: dict[str, Any] = json.loads(result["out"])
    return found


@pytest.fixture(scope="module")
def ordinary(who: str, run_isolated: Callable[..., Any]) -> dict[str, Any]:
    """What ordinary work came to."""
    result = run_isolated(who, {"code": (HERE / "isolation_ordinary.py").read_text()})
    assert result.get("code") == 0, result
    found: dict[str, Any] = json.loads(result["out"])
    return found


@pytest.mark.parametrize(
    "attempt",
    [
        "write_init_interpreter",
        "root_of_init",
        "cwd_of_init",
        "environ_of_init",
        "memory_of_init",
        "descriptors_of_init",
        "trace_init",
        "steal_descriptor_of_init",
        "enter_namespace_of_init",
    ],
)
def test_init_cannot_be_read_or_used(inside: dict[str, Any], attempt: str) -> None:
    assert inside[attempt] in REFUSED


@pytest.mark.parametrize(
    "attempt",
    [
        "mount_tmpfs",
        "remount_writable",
        "unmount_proc_mask",
        "new_mount_api",
        "chroot",
        "pivot_root",
        "new_mount_namespace",
        "new_net_namespace",
        "device_node",
        "device_node_in_workspace",
        "rename_host",
        "change_groups",
        "lower_nice",
    ],
)
def test_privileged_calls_are_refused(inside: dict[str, Any], attempt: str) -> None:
    assert inside[attempt] in REFUSED


@pytest.mark.parametrize("attempt", ["new_user_namespace", "clone3_user_namespace"])
def test_no_user_namespace_can_be_nested(inside: dict[str, Any], attempt: str) -> None:
    assert inside[attempt] in ("ENOSPC", "EPERM", "ENOSYS")


@pytest.mark.parametrize(
    "attempt",
    [
        "write_own_interpreter",
        "write_usr",
        "write_root",
        "write_dev",
        "write_passwd",
        "write_library",
        "write_sysctl",
        "raise_namespace_limit",
    ],
)
def test_nothing_of_the_system_can_be_written(inside: dict[str, Any], attempt: str) -> None:
    assert inside[attempt] in REFUSED


def test_the_machine_cannot_be_restarted(inside: dict[str, Any]) -> None:
    refusal = REFUSED if os.path.exists("/proc/sysrq-trigger") else ("ENOENT",)
    assert inside["sysrq"] in refusal


def test_only_the_three_streams_are_open(inside: dict[str, Any]) -> None:
    assert inside["descriptors"] == [0, 1, 2]
    assert inside["stdin_is"] == "/dev/null"


def test_init_survives_being_killed_from_inside(inside: dict[str, Any]) -> None:
    assert inside["kill_init"] == ["1"]


def test_only_own_processes_exist(inside: dict[str, Any]) -> None:
    assert inside["foreign_pids"] == []
    assert inside["number_of_pids"] == 3  # init, the program, the attempt
    assert inside["kill_launcher"] == "ESRCH"


def test_root_cannot_be_become(inside: dict[str, Any]) -> None:
    assert inside["become_root"] in ("EINVAL", "EPERM")
    assert inside["capabilities"] == [0, 0, 0, 0, 0]
    assert inside["no_new_privileges"] == 1


def test_set_uid_files_give_nothing(inside: dict[str, Any]) -> None:
    assert inside["set_uid_programs_of_the_host"] is True
    assert inside["set_uid_copy"] == "1000"


def test_facts_about_the_kernels_memory_are_masked(inside: dict[str, Any]) -> None:
    assert set(inside["kernel_facts"].values()) == {"opened, 0 bytes"}


def test_the_hosts_files_are_not_there(inside: dict[str, Any]) -> None:
    assert inside["shadow"] == "ENOENT"
    assert inside["host_file"] == "ENOENT"
    assert set(inside["sys_and_host_directories"]) <= {"/root"}  # where this Python may lie


def test_the_hosts_sockets_are_out_of_reach(inside: dict[str, Any]) -> None:
    assert inside["host_path_socket"] == "ENOENT"
    assert inside["host_abstract_socket"] == "ECONNREFUSED"
    assert inside["host_port"] == "ECONNREFUSED"
    assert inside["well_known_sockets"] == []


def test_there_is_no_network_but_loopback(inside: dict[str, Any]) -> None:
    assert inside["internet"] == "ENETUNREACH"
    assert inside["interfaces"] == ["lo"]


def test_it_has_a_session_of_its_own_without_a_terminal(inside: dict[str, Any]) -> None:
    assert inside["session"] is True
    assert inside["terminal"] == "ENXIO"
    assert inside["type_into_terminal"] in ("ENOTTY", *REFUSED)


def test_it_leaves_no_core_file_and_starts_clean(inside: dict[str, Any]) -> None:
    assert inside["core_limit"] == [0, 0]
    assert int(inside["masked_signals"], 16) == 0
    assert inside["umask"] == 0o077
    expected = {"HOME", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
    assert set(inside["environment"]) - {"LC_CTYPE"} == expected


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        ("pipeline", 19),
        ("pool", [0, 1, 4, 9, 16]),
        ("threads", 30),
        ("database", 7),
        ("proc_self", True),
        ("time_zone", "+0200"),
        ("local_time", True),
        ("locales", "C.UTF-8"),
        ("library", ["clove", "CloveClient"]),
        ("temporary_file", 100_000),
        ("home", ["/workspace", "/workspace", "agent", "/workspace"]),
        ("loopback", "HELLO\n"),
        ("own_socket", True),
        ("certificates", True),
        ("processors", True),
        ("random_numbers", 16),
        ("shared_memory", True),
        ("devices", True),
        ("signals", -15),
        ("background_thread", True),
        ("git", 0),
        ("scripts", "42\n"),
        ("standard_error", True),
    ],
)
def test_ordinary_work_goes_on(ordinary: dict[str, Any], work: str, expected: Any) -> None:
    assert ordinary[work] == expected
