"""The image as containers run it, in the default profile and with what a sandbox needs."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from clove.client.fleet import FleetClient
from clove.deploy.enrol import try_agent
from tests.image.conftest import HARDENED, SANDBOX, doctor, running
from tests.image.engine import FILES, IMAGE, Podman
from tests.waiting import until

AGENT = "import os; print('uid', os.getuid(), 'of', os.getpid(), sorted(os.listdir('/')))\n"
WARM_ALONE = ("chroot", "clone3", "setns")
"""Needed for warm starts, which `clove doctor` does not try."""


def needed() -> list[str]:
    """The calls that our seccomp profile adds to Docker's."""
    groups = json.loads((FILES / "seccomp.json").read_text())["syscalls"]
    (added,) = (group["names"] for group in groups if "Clove" in group.get("comment", ""))
    return list(added)


def is_connected(relay: FleetClient, machine: str) -> bool:
    return any(
        each["presence"] == "connected"
        for each in relay.machines()
        if each["machine_id"] == machine
    )


def without(names: list[str], tmp_path: Path) -> tuple[str, ...]:
    """The options of a kernel's container, with a profile that lacks some calls."""
    profile = json.loads((FILES / "seccomp.json").read_text())
    for group in profile["syscalls"]:
        group["names"] = [name for name in group["names"] if name not in names]
    profile["syscalls"] = [group for group in profile["syscalls"] if group["names"]]
    if "clone3" in names:
        absent = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}
        profile["syscalls"].append(absent)
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile))
    return ("--security-opt", "unmask=ALL", "--security-opt", f"seccomp={path}")


def test_it_runs_as_an_ordinary_user_and_its_files_cannot_be_changed(podman: Podman) -> None:
    text = podman(
        "run",
        "--rm",
        *HARDENED,
        IMAGE,
        "sh",
        "-c",
        "id; touch /opt/clove/x; ls -ld /var/lib/clove",
        check=False,
    )
    assert "uid=1000(clove) gid=1000(clove)" in text
    assert "Read-only file system" in text or "Permission denied" in text
    assert "drwx------" in text


def test_it_has_no_compiler(podman: Podman) -> None:
    script = "for each in cc gcc make git; do command -v $each; done; true"
    assert podman("run", "--rm", IMAGE, "sh", "-c", script) == ""


def test_agents_are_isolated_with_the_shipped_profile_and_no_capability(podman: Podman) -> None:
    with running(podman, "kernel", SANDBOX, "kernel") as kernel:
        kernel.wait()
        assert "CapEff:\t0000000000000000" in kernel("cat", "/proc/1/status")
        kernel("sh", "-c", "mkdir /tmp/p; cat > /tmp/p/agent.py", stdin=AGENT)
        for words in (["/tmp/p/agent.py"], ["--", "python3", "-c", AGENT]):
            said = kernel("clove", "run", *words)
            assert said.startswith("uid 1000 of 2 ['app'"), said
        assert "there is no zygote" not in kernel.log
        assert "could not fork" not in kernel.log


def test_doctor_finds_a_whole_sandbox_with_the_shipped_profile(podman: Podman) -> None:
    report = doctor(podman, *SANDBOX)
    assert report["sandbox"], report
    remedies = " ".join(feature["remedy"] for feature in report["features"])
    assert "Delegate=yes" not in remedies
    assert "writable-cgroups=true" in remedies


def test_the_default_profile_gives_no_sandbox_and_doctor_says_what_helps(
    podman: Podman, tmp_path: Path
) -> None:
    report = doctor(podman, *without(needed(), tmp_path))
    assert not report["sandbox"]
    remedies = " ".join(feature["remedy"] for feature in report["features"])
    assert "seccomp=" in remedies
    assert "systempaths=unconfined" in remedies


def test_a_kernel_in_the_default_profile_answers_and_refuses_agents_with_words(
    podman: Podman, tmp_path: Path
) -> None:
    with running(podman, "plain", without(needed(), tmp_path), "kernel") as kernel:
        kernel.wait()
        said = kernel("clove", "run", "--", "echo", "isolated", check=False)
        assert "isolated" not in said.splitlines()
        assert "cannot be had" in said
        assert "clove doctor" in said


def test_a_hidden_proc_alone_keeps_sandboxes_away(podman: Podman) -> None:
    report = doctor(podman, "--security-opt", f"seccomp={FILES}/seccomp.json")
    (sandbox,) = (each for each in report["features"] if each["name"] == "sandbox")
    assert not sandbox["available"]
    assert "systempaths=unconfined" in sandbox["remedy"]


@pytest.mark.parametrize("call", [name for name in needed() if name not in WARM_ALONE])
def test_the_profile_allows_nothing_that_is_not_needed(
    podman: Podman, tmp_path: Path, call: str
) -> None:
    assert not doctor(podman, *without([call], tmp_path))["sandbox"]


def test_a_signal_ends_the_kernel_in_good_order(podman: Podman) -> None:
    with running(podman, "ended", SANDBOX, "kernel") as kernel:
        kernel.wait()
        podman("stop", "--time", "20", "ended")
        assert podman("inspect", "--format", "{{.State.ExitCode}}", "ended").strip() == "0"
        assert "Main loop terminated" in kernel.log


def test_a_kernel_joins_a_relay_by_a_mounted_secret(
    podman: Podman, relay: FleetClient, tmp_path: Path
) -> None:
    token = tmp_path / "join-token"
    token.write_text(relay.issue_token("join", machine_id="c1", expires_hours=1.0)["token"])
    token.chmod(0o644)
    options = [*SANDBOX, "--volume", f"{token}:/run/secrets/join-token:ro"]
    options += ["--env", "CLOVE_RELAY_URL=ws://127.0.0.1:8765", "--env", "CLOVE_MACHINE=c1"]
    with running(podman, "c1", options, "kernel") as kernel:
        kernel.wait()
        until(lambda: is_connected(relay, "c1"), "c1 is connected")
        try_agent(relay, "c1")
        shown = podman("inspect", "c1") + kernel("sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline; env")
        assert token.read_text() not in shown
