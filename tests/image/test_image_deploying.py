"""`clove deploy docker`, with a real podman, to the relay that runs in a container beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.client.fleet import FleetClient
from clove.deploy.kinds import Place
from clove.deploy.relay import Relay
from clove.deploy.step import Progress
from clove.deploy.targets.docker import make
from tests.image.conftest import Running
from tests.image.engine import IMAGE, ROOT, Podman

RELAY = "http://127.0.0.1:8766"


@pytest.fixture
def clove(relay: FleetClient, podman: Podman, tmp_path: Path) -> Iterator[list[str]]:
    """The command, with a state directory and a token of its own."""
    token = tmp_path / "token"
    token.write_text(Running(podman, "relay")("cat", "/var/lib/clove/admin-token"))
    token.chmod(0o600)
    program = "from clove.cli.main import main; main()"
    words = [sys.executable, "-c", program, "deploy", "docker", "--engine", "podman"]
    yield [*words, "--relay", RELAY, "--token-file", str(token)]
    podman(
        "rm", "--force", "--time", "1", "--filter", "label=org.clove.deployment=box", check=False
    )


def run(words: list[str], tmp_path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    return subprocess.run(
        [*words, *more], env=environ, cwd=ROOT, capture_output=True, text=True, check=False
    )


def left(podman: Podman) -> list[str]:
    """What has the label of the deployment."""
    label = "label=org.clove.deployment=box"
    kinds = (["container", "ls", "--all"], ["volume", "ls"], ["image", "ls"])
    return [line for kind in kinds for line in podman(*kind, "--quiet", "--filter", label).split()]


def test_a_container_is_deployed_looked_at_again_and_taken_away(
    clove: list[str], relay: FleetClient, podman: Podman, tmp_path: Path
) -> None:
    (bundle,) = Path(os.environ["CLOVE_IMAGE_WORK"]).glob("clove-*.tar.gz")
    options = ("--name", "box", "--pids", "512", "--label", "env=test", "--bundle", str(bundle))
    done = run(clove, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "box\n"
    assert relay.machine("box")["labels"] == {"env": "test", "deployment": "box"}
    facts = json.loads(podman("inspect", "clove-box"))[0]
    assert facts["Config"]["User"] == "1000:1000"
    assert not facts["EffectiveCaps"]
    again = run(clove, tmp_path, *options, "--json")
    events = [json.loads(line) for line in again.stdout.splitlines()]
    told = [
        (event["step"], event["event"])
        for event in events
        if event["event"] != "begin" and "step" in event
    ]
    found = [(name, "found") for name in ("image", "register", "container", "tunnel")]
    assert told == [*found, ("smoke", "done")]
    gone = run(clove, tmp_path, "--name", "box", "--destroy", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert left(podman) == []
    assert not [each for each in relay.machines() if each["machine_id"] == "box"]


def test_its_image_is_exchanged_and_exchanged_back_and_it_stays_the_same_machine(
    clove: list[str], relay: FleetClient, podman: Podman, tmp_path: Path
) -> None:
    options = ("--name", "box", "--image", IMAGE)
    done = run(clove, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    podman("tag", IMAGE, "localhost/clove:next")
    place = Place("box", tmp_path, Relay(RELAY, "ws://127.0.0.1:8765", lambda: relay), {})
    given = {"engine": "podman", "image": IMAGE, "base": "", "bundle": ""}
    target = make(place, given)
    progress = Progress("upgrade", lambda event: None)
    before = target.installed({})
    assert target.upgrade({}, "localhost/clove:next", "", progress) == "localhost/clove:next"
    assert (before, target.installed({})) == (IMAGE, "localhost/clove:next")
    *_, tunnel, smoke = target.steps
    tunnel.do({}, progress)
    smoke.do({}, progress)
    target.change_back({}, before, progress)
    assert target.installed({}) == IMAGE
    tunnel.do({}, progress)
    gone = run(clove, tmp_path, *options, "--destroy", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert left(podman) == []
