"""What a host can isolate, tried for real, and the remedies for what it cannot."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from clove.cli.doctor import doctor
from clove.sandbox.inside.probing import NAMESPACES
from clove.sandbox.namespace_settings import remedy_for_namespaces
from clove.sandbox.probe import Feature, Report, probe

ROOT = str(Path(__file__).parents[3])


def report(*missing: str, remedy: str = "") -> Report:
    """A report in which only some features are missing."""
    names = [*(f"namespace.{name}" for name in NAMESPACES), "seccomp", "cgroup.memory"]
    return Report(
        tuple(
            Feature(name, name not in missing, "why", remedy if name in missing else "")
            for name in names
        )
    )


def test_every_mechanism_has_an_entry_and_every_missing_one_a_reason() -> None:
    found = probe()
    names = [feature.name for feature in found.features]
    assert len(set(names)) == len(names)
    assert {f"namespace.{name}" for name in NAMESPACES} < set(names)
    assert {"openat2", "seccomp", "landlock", "cgroup"} < set(names)
    assert {"cgroup.cpu", "cgroup.io", "cgroup.memory", "cgroup.pids"} < set(names)
    for feature in found.features:
        assert feature.detail
        assert feature.available or feature.remedy


def test_the_probe_agrees_with_unshare() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) to compare with")
    works = subprocess.run(["unshare", "--map-root-user", "true"], capture_output=True)
    assert probe()["namespace.user"].available == (works.returncode == 0)


def test_trying_changes_nothing() -> None:
    before = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}
    probe()
    after = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}
    assert before == after


def test_a_host_that_forbids_user_namespaces_is_seen_as_one() -> None:
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from clove.sandbox.probe import probe\n"
        "print(json.dumps(probe().to_dict()))"
    )
    limit = "/proc/sys/user/max_user_namespaces"
    unshared = ["unshare", "--map-root-user"]
    probing = [sys.executable, "-c", code, ROOT]
    child = subprocess.run(
        [*unshared, "sh", "-c", f'echo 0 >{limit} && exec "$@"', "sh", *probing],
        capture_output=True,
        text=True,
    )
    if child.returncode != 0:
        pytest.skip(f"no user namespace to forbid others in: {child.stderr.strip()}")
    found = json.loads(child.stdout)
    user = next(each for each in found["features"] if each["name"] == "namespace.user")
    assert not found["sandbox"]
    assert not user["available"]
    assert "user.max_user_namespaces" in user["remedy"]


def test_an_interpreter_that_does_not_run_is_told() -> None:
    found = probe("/no/such/python")
    assert not found.sandbox
    assert "the probe failed" in found["namespace.pid"].detail
    assert "interpreter" in found["namespace.pid"].remedy
    with pytest.raises(KeyError):
        found["nothing"]


def host(tmp_path: Path, files: dict[str, str]) -> str:
    """A root directory with these files."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"{tmp_path}/"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces="),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor"),
    ],
)
def test_settings_that_forbid_namespaces_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    root = host(tmp_path, {f"proc/sys/{name}": f"{value}\n"})
    assert remedy in remedy_for_namespaces(root)


def test_settings_that_allow_them_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    files = {
        "proc/sys/kernel/unprivileged_userns_clone": "1\n",
        "proc/sys/user/max_user_namespaces": "100\n",
        "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0\n",
    }
    assert remedy_for_namespaces(host(tmp_path, files)).startswith("use Linux")


def test_a_containers_seccomp_profile_is_named(tmp_path: Path) -> None:
    files = {".dockerenv": "", "proc/self/status": "Name:\tx\nSeccomp:\t2\n"}
    remedy = remedy_for_namespaces(host(tmp_path, files))
    assert "deploy/docker/seccomp.json" in remedy
    assert "systempaths=unconfined (Podman: unmask=ALL)" in remedy


def test_a_pods_seccomp_profile_is_named_as_kubernetes_has_it(tmp_path: Path) -> None:
    environ = "PATH=/bin\0KUBERNETES_SERVICE_HOST=10.0.0.1\0"
    files = {"proc/self/environ": environ, "proc/self/status": "Seccomp:\t2\n"}
    remedy = remedy_for_namespaces(host(tmp_path, files))
    assert "procMount: Unmasked" in remedy
    assert "--security-opt" not in remedy


def test_doctor_prints_a_table_and_the_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "clove.cli.doctor.probe", lambda python: report("cgroup.memory", remedy="do that")
    )
    monkeypatch.setattr("clove.cli.doctor.checkup", lambda python: ())
    monkeypatch.setattr("clove.cli.doctor.ways_out", lambda config: ())
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 0
    assert "namespace.user" in result.output
    assert "cgroup.memory: do that" in result.output
    assert "works here" in result.output


def test_doctor_fails_when_there_is_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "clove.cli.doctor.probe", lambda python: report("namespace.net", remedy="do this")
    )
    monkeypatch.setattr("clove.cli.doctor.checkup", lambda python: ())
    monkeypatch.setattr("clove.cli.doctor.ways_out", lambda config: ())
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 1
    assert "cannot be had here: no namespace.net" in result.output
    assert CliRunner().invoke(doctor, ["--json"]).exit_code == 1


@pytest.mark.parametrize(
    ("name", "fails"),
    [("sandbox", True), ("sandbox.root", True), ("sandbox.landlock", False), ("egress.x", False)],
)
def test_doctor_fails_when_a_whole_sandbox_is_not_one(
    monkeypatch: pytest.MonkeyPatch, name: str, fails: bool
) -> None:
    monkeypatch.setattr("clove.cli.doctor.probe", lambda python: report())
    missing = Feature(name, False, "why", "do so")
    monkeypatch.setattr("clove.cli.doctor.checkup", lambda python: (missing,))
    monkeypatch.setattr("clove.cli.doctor.ways_out", lambda config: ())
    result = CliRunner().invoke(doctor)
    assert result.exit_code == fails
    assert f"{name}: do so" in result.output


def test_doctor_speaks_json() -> None:
    found = json.loads(CliRunner().invoke(doctor, ["--json"]).output)
    assert set(found) == {"sandbox", "features"}


def test_doctor_gives_one_json_value_a_line() -> None:
    assert CliRunner().invoke(doctor, ["--json"]).output.count("\n") == 1
