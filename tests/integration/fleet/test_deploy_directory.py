"""A directory goes to a machine as an archive, with what its program requires."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.client.fleet import FleetClient
from clove.errors import InvalidRequest
from tests.integration.cli_user import make_wheel
from tests.integration.fleet.fleet_processes import WHO, Fleet, Ran, clove_process, running_fleet
from tests.waiting import until


@pytest.fixture(scope="module", params=WHO)
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with running_fleet(request.param) as fleet:
        fleet.join("one")
        yield fleet


@pytest.fixture
def admin(fleet: Fleet) -> FleetClient:
    return fleet.api()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    (made / "package").mkdir(parents=True)
    (made / "package/__init__.py").write_text("NAME = 'package'\n")
    (made / "main.py").write_text("import package, sys\nprint(package.NAME, sys.argv[1:])\n")
    (made / "tool").write_text("#!/bin/sh\ncat package/__init__.py; exit 5\n")
    (made / "tool").chmod(0o755)
    (made / "link").symlink_to("package/__init__.py")
    return made


def run(fleet: Fleet, *words: str) -> Ran:
    return clove_process(fleet, "agent", "run", "--machine", "one", *words)


def packed(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    raw = io.BytesIO()
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    with tarfile.open(fileobj=raw, mode="w:xz") as made:
        made.addfile(member)
    return raw.getvalue()


def test_a_script_of_a_directory_runs_with_what_stands_beside_it(
    fleet: Fleet, project: Path
) -> None:
    result = run(fleet, "--dir", str(project), "main.py", "-v")
    assert (result.stdout, result.exit_code) == ("package ['-v']\n", 0)


def test_a_program_runs_in_the_directory_and_its_input_is_at_its_end(
    fleet: Fleet, project: Path
) -> None:
    result = run(fleet, "--dir", str(project), "./tool")
    assert (result.stdout, result.exit_code) == ("NAME = 'package'\n", 5)
    result = run(fleet, "--dir", str(project), "sh", "-c", "cat; cat link; ls -A")
    assert result.stdout.splitlines() == ["NAME = 'package'", "link", "main.py", "package", "tool"]
    result = run(fleet, "--dir", str(project), "./missing")
    assert (result.exit_code, "missing" in result.stderr) == (127, True)


def test_megabytes_arrive_whole(fleet: Fleet, project: Path) -> None:
    (project / "large").write_bytes(os.urandom(5 << 20))
    result = run(fleet, "--dir", str(project), "wc", "-c", "large")
    assert result.stdout == f"{5 << 20} large\n"


def test_requirements_are_installed_first(fleet: Fleet, project: Path) -> None:
    make_wheel(project, "greeter", "1.0")
    (project / "main.py").write_text("import greeter\nprint(greeter.VALUE)\n")
    required = project / "requirements.txt"
    required.write_text("--no-index\n--find-links .\ngreeter==1.0\n")
    result = run(fleet, "--dir", str(project), "--requirements", str(required), "main.py")
    assert (result.stdout, result.exit_code) == ("1.0\n", 0), result.stderr
    required.write_text("--no-index\n--find-links .\nmissing==1.0\n")
    result = run(fleet, "--dir", str(project), "--requirements", str(required), "main.py")
    assert result.exit_code == 125
    assert "the requirements are not installed" in result.stderr


def test_what_leads_out_of_a_directory_is_not_sent(fleet: Fleet, project: Path) -> None:
    (project / "out").symlink_to("../../etc/passwd")
    result = run(fleet, "--dir", str(project), "./tool")
    assert (result.exit_code, "leads out of" in result.stderr) == (1, True)
    (project / "out").unlink()
    os.mkfifo(project / "fifo")
    result = run(fleet, "--dir", str(project), "./tool")
    assert (result.exit_code, "no file, directory or link" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "archive",
    [
        packed("../x"),
        packed("x", tarfile.SYMTYPE, "/etc/passwd"),
        packed("x", tarfile.CHRTYPE),
        b"x",
    ],
    ids=["above", "link", "device", "none"],
)
def test_a_hostile_archive_ends_the_agent_before_its_command(
    admin: FleetClient, archive: bytes
) -> None:
    made = admin.deploy("one", command=["echo", "started"], archive=archive)
    lines: list[str] = []
    for kind, fields in admin.follow_logs("one", made["agent_id"]):
        if kind == "line":
            lines.append(fields["text"])
        elif kind == "exit":
            assert fields["exit_code"] == 125
    assert len(lines) == 1
    assert "cannot be unpacked" in lines[0]


def test_a_repeated_deploy_of_a_directory_starts_nothing_twice(
    fleet: Fleet, admin: FleetClient, project: Path
) -> None:
    words = ("-d", "--key", "k", "--dir", str(project), "sleep", "100")
    first = run(fleet, *words)
    assert first.exit_code == 0, first.stderr
    assert run(fleet, *words).stdout == first.stdout
    name = first.stdout.split()[0]

    def started() -> list[int]:
        return [each["id"] for each in admin.machine_agents("one") if each["name"] == name]

    [number] = until(started, "it runs")
    admin.stop_agent("one", number)


def test_what_is_neither_script_nor_command_is_refused(admin: FleetClient) -> None:
    with pytest.raises(InvalidRequest, match="script or of a command"):
        admin.deploy("one")
    with pytest.raises(InvalidRequest, match="go with a command"):
        admin.deploy("one", "x.py", requirements="x")
    with pytest.raises(InvalidRequest, match="sent once"):
        admin.deploy("one", command=["x"], archive=b"x", restart_policy="always")
    with pytest.raises(InvalidRequest, match="standard input"):
        admin.deploy("one", "x.py", stdin="stream")
