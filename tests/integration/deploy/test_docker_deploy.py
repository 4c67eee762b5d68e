"""C{clove deploy docker}: what it makes, shows and keeps, killed anywhere; with a docker whose containers are files.

`make test-image` does the same with a real podman.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clove._version import __version__
from clove.deploy.docker.kernel import run_options
from tests.cloud.containers import CODE, calls, clove, install, world
from tests.cloud.fake_docker import BUILD, CREATE
from tests.contracts.deployment import Deployment, check_killed_everywhere

STRIDE = int(os.environ.get("CLOVE_KILL_STRIDE", "9"))
"""Of the points at which the command is killed; 1: all of them."""
MADE = {
    "images": [f"localhost/clove:box.{__version__}"],
    "containers": [["clove-box", True]],
    "volumes": ["clove-box"],
    "machines": {"box": True},
    "tokens": 0,
    "deployments": ["box"],
    "contexts": [],
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return install(tmp_path, "docker")


def there(tmp_path: Path) -> object:
    return json.loads(json.dumps(world(tmp_path)))


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_is_made_joins_and_is_removed(
    engine: str, environ: dict[str, str], tmp_path: Path
) -> None:
    words = ["docker", "--engine", engine, "--name", "box", "--memory", "4g", "--cpus", "2"]
    made = clove(environ, *words)
    assert made.returncode == 0, made.stderr
    assert made.stdout == "box\n"
    assert all(len(line) <= 80 for line in made.stderr.splitlines()), made.stderr
    assert there(tmp_path) == MADE
    again = clove(environ, *words)
    assert again.returncode == 0
    assert again.stderr.count("is there") == 4  # all but the agent that is tried
    gone = clove(environ, *words, "--destroy", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert there(tmp_path) == {}


def test_no_secret_is_in_an_argument_an_environment_or_the_journal(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert clove(environ, "docker", "--name", "box").returncode == 0
    tokens = list(json.loads((tmp_path / "fleet.json").read_text())["tokens"])
    assert tokens
    told = json.dumps(calls(tmp_path))
    assert "create" in told
    files = [path for path in tmp_path.glob("state/**/*") if path.is_file()]
    for text in (told, *(path.read_text(errors="replace") for path in files)):
        assert not any(token in text for token in tokens)


def test_a_container_that_lost_its_token_is_given_another(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert clove(environ, "docker", "--name", "box").returncode == 0
    kept = json.loads((tmp_path / "fleet.json").read_text())
    kept["machines"]["box"]["key"] = None  # the relay has lost what it knew
    (tmp_path / "fleet.json").write_text(json.dumps(kept))
    again = clove(environ, "docker", "--name", "box")
    assert again.returncode == 0, again.stderr
    assert there(tmp_path) == MADE


def test_a_container_that_was_removed_is_made_anew_and_is_the_same_machine(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert clove(environ, "docker", "--name", "box").returncode == 0
    before = json.loads((tmp_path / "fleet.json").read_text())["machines"]
    kept = json.loads((tmp_path / "cloud" / "docker.json").read_text())
    kept["container"] = {}
    (tmp_path / "cloud" / "docker.json").write_text(json.dumps(kept))
    assert clove(environ, "docker", "--name", "box").returncode == 0
    assert json.loads((tmp_path / "fleet.json").read_text())["machines"] == before


def test_an_image_that_was_named_is_fetched_and_stays(
    environ: dict[str, str], tmp_path: Path
) -> None:
    words = ["docker", "--name", "box", "--image", "registry.example.org/clove:1"]
    assert clove(environ, *words).returncode == 0
    assert clove(environ, *words, "--destroy", "--yes").returncode == 0
    assert world(tmp_path)["images"] == ["registry.example.org/clove:1"]
    assert not world(tmp_path)["containers"]
    assert not world(tmp_path)["deployments"]


def test_a_volume_of_its_name_that_it_did_not_make_is_neither_used_nor_removed(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "cloud").mkdir()
    words = ["volume", "create", "--label", "mine=yes", "clove-box"]
    subprocess.run(["docker", *words], env=environ, check=True, capture_output=True)
    made = clove(environ, "docker", "--name", "box")
    assert made.returncode != 0
    assert "has a volume clove-box that this deployment did not make" in made.stderr
    assert world(tmp_path)["containers"] == []
    assert clove(environ, "docker", "--name", "box", "--destroy", "--yes").returncode == 0
    assert world(tmp_path)["volumes"] == ["clove-box"]


def test_a_dry_run_starts_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    said = clove(environ, "docker", "--name", "box", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert f"build the image localhost/clove:box.{__version__} with docker" in said.stdout
    assert "start the container clove-box with docker" in said.stdout
    assert calls(tmp_path) == []


def test_a_hub_on_this_machine_is_reached_in_its_network(
    environ: dict[str, str], tmp_path: Path
) -> None:
    words = ["docker", "--name", "box", "--hub", "ws://127.0.0.1:8765"]
    assert clove(environ, *words).returncode == 0
    (create,) = (each["words"] for each in calls(tmp_path) if each["words"][0] == "create")
    assert create[create.index("--network") + 1] == "host"


@pytest.mark.parametrize(
    ("flag", "more", "said"),
    [
        ("no-daemon", (), "Is the docker daemon running?"),
        ("build-fails", (), "no space left on device"),
        ("dies", (), "the container clove-box does not run"),
        ("", ("--image", "nowhere.example.org/clove"), "no such host"),
    ],
)
def test_a_failure_says_the_step_why_and_how_to_go_on(
    flag: str, more: tuple[str, ...], said: str, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "cloud").mkdir()
    if flag:
        (tmp_path / "cloud" / flag).touch()
    failed = clove(environ, "docker", "--name", "box", *more)
    assert failed.returncode == 1
    assert said in " ".join(failed.stderr.split())
    assert "go on with: clove deploy docker --name box" in " ".join(failed.stderr.split())
    assert "Traceback" not in failed.stderr
    if flag:
        (tmp_path / "cloud" / flag).unlink()
        assert clove(environ, "docker", "--name", "box").returncode == 0
        assert there(tmp_path) == MADE


def test_without_the_program_it_says_what_to_install(
    environ: dict[str, str], tmp_path: Path
) -> None:
    for name in ("docker", "podman"):
        (tmp_path / "bin" / name).unlink()
    failed = clove({**environ, "PATH": str(tmp_path / "bin")}, "docker", "--name", "box")
    assert failed.returncode != 0
    assert "there is no program docker" in failed.stderr
    assert "--engine podman" in failed.stderr


def test_a_near_name_of_an_engine_is_named(environ: dict[str, str]) -> None:
    refused = clove(environ, "docker", "--engine", "podmn")
    assert refused.returncode == 2
    assert "podman" in refused.stderr


def test_a_container_gets_no_right_beyond_what_a_sandbox_needs() -> None:
    words = run_options("docker", "m", "wss://r:8765", Path("/files"), {})
    assert not {"--privileged", "--cap-add", "--pid", "--ipc", "--device", "--network"} & {*words}
    allowed = [words[at + 1] for at, word in enumerate(words) if word == "--security-opt"]
    assert allowed == [
        *("no-new-privileges", "seccomp=/files/seccomp.json"),
        *("systempaths=unconfined", "apparmor=unconfined"),
    ]
    assert words[words.index("--cap-drop") + 1] == "ALL"


@pytest.mark.parametrize(("command", "options"), [("create", CREATE), ("build", BUILD)])
def test_dockers_own_command_line_knows_what_is_used(command: str, options: dict[str, int]) -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker, whose --help says what it knows")
    done = subprocess.run(
        ["docker", command, "--help"], capture_output=True, text=True, check=False
    )
    known = set(re.findall(r"--([a-z-]+)", done.stdout))
    assert {*options} - {"format"} <= known  # --format is podman's


@pytest.mark.time_limit(900)
def test_killed_anywhere_it_comes_to_the_same_end(environ: dict[str, str], tmp_path: Path) -> None:
    words = ["deploy", "docker", "--name", "box"]
    deployment = Deployment(
        words=words,
        undo=[*words, "--destroy", "--yes"],
        world=lambda: there(tmp_path),
        tmp_path=tmp_path,
        environ=environ,
        code=CODE,
    )
    assert check_killed_everywhere(deployment, lambda most: range(1, most + 1, STRIDE)) > 2


def test_an_upgrade_by_another_hub_is_kept_for_the_next_run(
    environ: dict[str, str], tmp_path: Path
) -> None:
    first, second = (["--hub", f"wss://{name}.example.org:8765"] for name in ("a", "b"))
    words = ["docker", "--name", "box"]
    assert clove(environ, *words, *first).returncode == 0
    moved = clove(environ, "upgrade", "box", "--to", __version__, *second)
    assert moved.returncode == 0, moved.stderr
    shown = json.loads(clove(environ, "show", "box", "--json").stdout)
    assert shown["options"]["hub"] == second[1]
    assert shown["command"] == f"clove deploy docker --name box {' '.join(second)}"
    refused = clove(environ, *words, *first)
    assert (refused.returncode, f"go on with: {shown['command']}" in refused.stderr) == (1, True)
    assert clove(environ, *words, *second).returncode == 0
