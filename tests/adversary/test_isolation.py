"""Ways out of the sandbox: rows 1, 7, 8, 9 and 10 of the attacks, from inside an agent."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.arena import Arena

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


@pytest.fixture(scope="module")
def inside(arena: Arena) -> dict[str, Any]:
    """What every attempt came to."""
    with host_belongings() as facts:
        found: dict[str, Any] = arena.attempts("isolation_attempts.py", facts)
        found |= arena.attempts("host_reach_attempts.py", facts)
    return found


def test_init_cannot_be_read_or_used(inside: dict[str, Any]) -> None:
    attempts = [
        "write_init_interpreter",
        "root_of_init",
        "cwd_of_init",
        "environ_of_init",
        "memory_of_init",
        "descriptors_of_init",
        "trace_init",
        "steal_descriptor_of_init",
        "enter_namespace_of_init",
    ]
    found = {name: inside[name] for name in attempts}
    assert set(found.values()) <= set(REFUSED), found


def test_privileged_calls_are_refused(inside: dict[str, Any]) -> None:
    attempts = [
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
    ]
    found = {name: inside[name] for name in attempts}
    assert set(found.values()) <= set(REFUSED), found


def test_no_user_namespace_can_be_nested(inside: dict[str, Any]) -> None:
    attempts = ["new_user_namespace", "clone3_user_namespace"]
    found = {name: inside[name] for name in attempts}
    assert set(found.values()) <= {"ENOSPC", "EPERM", "ENOSYS"}, found


def test_nothing_of_the_system_can_be_written(inside: dict[str, Any]) -> None:
    attempts = [
        "write_own_interpreter",
        "write_own_interpreter_by_another_name",
        "write_usr",
        "write_root",
        "write_dev",
        "write_passwd",
        "write_library",
        "write_sysctl",
        "raise_namespace_limit",
    ]
    found = {name: inside[name] for name in attempts}
    assert set(found.values()) <= set(REFUSED), found


def test_the_machine_cannot_be_restarted(inside: dict[str, Any]) -> None:
    refusal = REFUSED if os.path.exists("/proc/sysrq-trigger") else ("ENOENT",)
    assert inside["sysrq"] in refusal


def test_only_the_three_streams_are_open(inside: dict[str, Any]) -> None:
    assert inside["descriptors"] == [0, 1, 2]
    assert inside["descriptors_of_the_program"] == [0, 1, 2]
    assert inside["stdin_is"] == "/dev/null"


def test_the_working_directory_lies_in_the_private_root(inside: dict[str, Any]) -> None:
    assert inside["cwd"] == ["/workspace", "/workspace", "/"]
    assert inside["cwd_leads_out"] == [[], True]


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
    """Of files in a granted directory see test_mount_attacks.py."""
    assert inside["set_uid_programs_of_the_host"] is True


def test_facts_about_the_kernels_memory_are_masked(inside: dict[str, Any]) -> None:
    assert set(inside["kernel_facts"].values()) == {"opened, 0 bytes"}


def test_the_hosts_files_are_not_there(inside: dict[str, Any]) -> None:
    assert inside["shadow"] == "ENOENT"
    assert inside["host_file"] == "ENOENT"
    python = {f"/{prefix.split('/')[1]}" for prefix in (sys.prefix, sys.base_prefix)}
    assert set(inside["sys_and_host_directories"]) <= python | {"/run"}
    assert inside["in_run"] == [["secrets"], []]  # of its own


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
    assert inside["core_limit"] == [1, 1]  # the value that stops piped cores as well
    assert int(inside["masked_signals"], 16) == 0
    assert inside["umask"] == 0o077
    assert set(inside["environment"]) - {"LC_CTYPE", "TZ"} == {
        "CLOVE_AGENT_ID",
        "CLOVE_SOCKET",
        "HOME",
        "LANG",
        "LSAN_OPTIONS",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "TMPDIR",
        "USER",
    }
