"""C{clove deploy aws} and C{gcp}: what they make, show and keep, killed anywhere; with a terraform whose cloud is a directory."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.command import relay_environ, relay_world, run_deploy
from tests.cloud.deploying import install_terraform
from tests.contracts.deployment import Deployment, check_killed_everywhere

CODE = "from tests.cloud.deploying import main; main()"
clove = partial(run_deploy, CODE)
STRIDE = int(os.environ.get("CLOVE_KILL_STRIDE", "24"))
"""From one point at which the command is killed to the next; 1: all of them, in some minutes."""
KILLED = [("aws", 1), ("gcp", 9), ("aws", 17)] if STRIDE > 1 else [("aws", 1), ("gcp", 1)]
"""A cloud, and the first point there."""
HUB = ["--hub", "wss://relay.example.org:8765"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        **relay_environ(tmp_path),
        **install_terraform(tmp_path),
        "GOOGLE_CLOUD_PROJECT": "",
    }


def world(tmp_path: Path) -> dict[str, Any]:
    """What cloud, relay and home have, without what differs from one deployment to the next."""
    cloud = tmp_path / "cloud"
    found = {
        **relay_world(tmp_path),
        "objects": sorted(
            str(path.relative_to(cloud / "buckets").relative_to(bucket.name))
            for bucket in cloud.glob("buckets/*")
            for path in bucket.rglob("*")
            if path.is_file()
        ),
        "buckets": len(list(cloud.glob("buckets/*"))),
        "instances": sorted(path.name for path in cloud.glob("instances/*.json")),
        "leftovers": sorted(str(path) for path in tmp_path.glob("state/**/tokens")),
    }
    return found if any(found.values()) else {}


@pytest.mark.parametrize(
    "words",
    [
        ["aws", "--name", "lab", "--count", "2", "--spot"],
        ["gcp", "--name", "lab", "--count", "2", "--project", "p"],
    ],
    ids=["aws", "gcp"],
)
def test_two_machines_are_made_join_and_are_removed(
    words: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    made = clove(environ, *words, *HUB)
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == ["lab-1", "lab-2"]
    assert world(tmp_path)["machines"] == {"lab-1": True, "lab-2": True}
    [bundle] = world(tmp_path)["objects"]  # the used tokens are gone
    assert bundle.startswith("bundle-")
    again = clove(environ, *words, *HUB)
    assert again.returncode == 0
    assert again.stderr.count("is there") == 7  # all but the agent that is tried
    gone = clove(environ, *words, "--hub", "wss://127.0.0.1:1", "--destroy", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert world(tmp_path) == {}


def test_no_secret_is_in_an_argument_a_variable_the_state_or_the_journal(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert clove(environ, "aws", "--name", "lab", *HUB).returncode == 0
    tokens = list(json.loads((tmp_path / "fleet.json").read_text())["tokens"])
    assert tokens
    kept = [tmp_path / "cloud" / "calls", *tmp_path.glob("cloud/instances/*")]
    kept += [path for path in tmp_path.glob("state/**/*") if path.is_file()]
    assert len(kept) > 12
    for path in kept:
        data = path.read_bytes()
        assert not any(token.encode() in data for token in tokens), path
    for path in tmp_path.glob("state/clove/deployments/lab/terraform/**/*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_spot_instance_that_was_ended_is_made_anew_and_joins_anew(
    environ: dict[str, str], tmp_path: Path
) -> None:
    words = ["aws", "--name", "lab", "--count", "2", *HUB]
    assert clove(environ, *words).returncode == 0
    before = json.loads((tmp_path / "fleet.json").read_text())["machines"]
    (tmp_path / "cloud" / "instances" / "lab-2.json").unlink()
    again = clove(environ, *words)
    assert again.returncode == 0, again.stderr
    assert "lab-2 is gone and is made anew" in again.stderr
    after = json.loads((tmp_path / "fleet.json").read_text())["machines"]
    assert after["lab-1"] == before["lab-1"]
    assert after["lab-2"]["key"] not in (None, before["lab-2"]["key"])


def test_a_dry_run_says_what_it_costs_and_starts_nothing(
    environ: dict[str, str], tmp_path: Path
) -> None:
    said = clove(environ, "aws", "--count", "3", "--dry-run", *HUB)
    assert said.returncode == 0, said.stderr
    assert "costs USD 107 a month (list prices of us-east-1, 2025-01)" in said.stdout
    assert world(tmp_path) == {}
    assert not (tmp_path / "cloud").exists()


def test_a_failed_apply_says_why_and_how_to_go_on(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "fails-apply").touch()
    failed = clove(environ, "aws", *HUB)
    assert failed.returncode == 1
    assert "apply: terraform apply: Error: creating EC2 Instance" in failed.stderr
    assert "UnauthorizedOperation" in failed.stderr
    assert "terraform.log" in failed.stderr
    assert "go on with: clove deploy aws" in failed.stderr
    assert world(tmp_path)["leftovers"] == []  # no token that was not handed on
    (tmp_path / "cloud" / "fails-apply").unlink()
    assert clove(environ, "aws", *HUB).returncode == 0


@pytest.mark.parametrize("state", ["gone", "empty"])
@pytest.mark.parametrize("more", [[], ["--destroy", "--yes"]], ids=["again", "destroy"])
def test_without_its_state_nothing_is_made_twice_or_taken_for_gone(
    environ: dict[str, str], tmp_path: Path, more: list[str], state: str
) -> None:
    assert clove(environ, "aws", "--name", "lab", *HUB).returncode == 0
    before = world(tmp_path)
    [path] = tmp_path.glob("state/**/terraform.tfstate")
    kept = path.read_text()
    path.write_text("") if state == "empty" else path.unlink()
    refused = clove(environ, "aws", "--name", "lab", *HUB, *more)
    assert refused.returncode == 1
    assert f"terraform.tfstate is {state}, which says what there is" in refused.stderr
    assert "clove:deployment=lab" in refused.stderr
    assert world(tmp_path) == before
    path.write_text(kept)
    assert clove(environ, "aws", "--name", "lab", *HUB, "--destroy", "--yes").returncode == 0
    assert world(tmp_path) == {}


def test_what_a_failed_apply_has_made_is_not_forgotten_with_its_state(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "fails-apply").touch()
    assert clove(environ, "aws", "--name", "lab", *HUB).returncode == 1
    [path] = tmp_path.glob("state/**/terraform.tfstate")
    path.unlink()
    refused = clove(environ, "aws", "--name", "lab", *HUB, "--destroy", "--yes")
    assert (refused.returncode, "look in the cloud" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gcp", *HUB], "--project ID, or $GOOGLE_CLOUD_PROJECT"),
        (["aws", "--hub", "wss://127.0.0.1:8765"], "cannot reach the relay at"),
        (["aws", "--hub", "ws://relay.example.org:8765"], "give the relay a certificate"),
        (["aws", "--name", "Lab_1", *HUB], "small letters, digits and hyphens"),
        (["aws", "--terraform", "terrafrom", *HUB], "install terraform 1.5 or newer"),
    ],
)
def test_what_cannot_work_is_refused(words: list[str], said: str, environ: dict[str, str]) -> None:
    refused = clove(environ, *words)
    assert refused.returncode != 0
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("cloud", "first"), KILLED)
def test_killed_anywhere_it_comes_to_the_same_end(
    cloud: str, first: int, environ: dict[str, str], tmp_path: Path
) -> None:
    words = ["deploy", cloud, "--name", "lab", "--count", "2", *HUB]
    words += ["--project", "p"] if cloud == "gcp" else []
    deployment = Deployment(
        words=words,
        undo=[*words, "--destroy", "--yes"],
        world=lambda: world(tmp_path),
        tmp_path=tmp_path,
        environ=environ,
        code=CODE,
    )
    assert check_killed_everywhere(deployment, lambda most: range(first, most + 1, STRIDE)) > 2
