"""C{clove deploy kubernetes}: what it applies, shows and keeps, killed anywhere; with a kubectl whose cluster is a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clove.deploy.kubernetes.manifests import Pool, objects
from tests.cloud.containers import CODE, calls, clove, install, world
from tests.contracts.deployment import Deployment, check_killed_everywhere

STRIDE = int(os.environ.get("CLOVE_KILL_STRIDE", "9"))
IMAGE = ["--image", "registry.example.org/clove:1"]
LAB = ["kubernetes", "--name", "lab", "--count", "2", *IMAGE]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return install(tmp_path, "kubectl")


def there(tmp_path: Path) -> object:
    return json.loads(json.dumps(world(tmp_path)))


def kubernetes_object(tmp_path: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((tmp_path / "cloud" / "cluster.json").read_text())[
        "objects"
    ][name]
    return found


def test_pods_are_made_join_and_are_removed(environ: dict[str, str], tmp_path: Path) -> None:
    made = clove(environ, *LAB)
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == ["lab-0", "lab-1"]
    found = world(tmp_path)
    assert found["machines"] == {"lab-0": True, "lab-1": True}
    assert found["tokens"] == 0
    assert found["objects"] == [
        "configmap/clove-lab/clove-kernel",
        "configmap/clove-lab/clove-seccomp",
        "daemonset/clove-lab/clove-seccomp",
        "namespace//clove-lab",
        "networkpolicy/clove-lab/clove-kernels",
        "poddisruptionbudget/clove-lab/clove-kernel",
        "secret/clove-lab/clove-join",
        "service/clove-lab/clove-kernel",
        "serviceaccount/clove-lab/clove-kernel",
        "statefulset/clove-lab/lab",
    ]
    again = clove(environ, *LAB)
    assert again.stderr.count("is there") == 3, again.stderr
    gone = clove(environ, *LAB, "--hub", "wss://127.0.0.1:1", "--destroy", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert there(tmp_path) == {}


def test_no_secret_is_in_an_argument_an_environment_or_the_journal(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert clove(environ, *LAB).returncode == 0
    tokens = list(json.loads((tmp_path / "fleet.json").read_text())["tokens"])
    assert len(tokens) == 2
    told = json.dumps(calls(tmp_path))
    assert "--server-side" in told  # else kubectl keeps a copy in an annotation
    files = [path for path in tmp_path.glob("state/**/*") if path.is_file()]
    for text in (told, *(path.read_text(errors="replace") for path in files)):
        assert not any(token in text for token in tokens)


def test_a_namespace_of_another_is_left_alone(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    theirs = {"kind": "Namespace", "metadata": {"name": "clove-lab", "labels": {}}}
    kept = {"objects": {"namespace//clove-lab": theirs}, "volumes": {}}
    (tmp_path / "cloud" / "cluster.json").write_text(json.dumps(kept))
    refused = clove(environ, *LAB)
    assert refused.returncode == 1
    assert "that this deployment did not make" in " ".join(refused.stderr.split())
    assert clove(environ, *LAB, "--destroy", "--yes").returncode == 0
    assert json.loads((tmp_path / "cloud" / "cluster.json").read_text()) == kept


def test_a_failure_says_the_step_why_and_how_to_go_on(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "quota").touch()
    failed = clove(environ, *LAB)
    assert failed.returncode == 1
    said = " ".join(failed.stderr.split())
    assert "pods: kubectl apply failed: Error from server (Forbidden): exceeded quota" in said
    assert "go on with: clove deploy kubernetes --name lab" in said
    (tmp_path / "cloud" / "quota").unlink()
    assert clove(environ, *LAB).returncode == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--name", "Lab_1"], "small letters, digits and hyphens"),
        (["--hub", "wss://127.0.0.1:8765"], "a pod cannot reach the relay at"),
        (["--hub", "ws://relay.example.org:8765"], "give the relay a certificate"),
        (["--cont", "2"], "--count"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(
    more: list[str], said: str, environ: dict[str, str], tmp_path: Path
) -> None:
    refused = clove(environ, "kubernetes", *IMAGE, *more)
    assert refused.returncode != 0
    assert said in " ".join(refused.stderr.split())
    assert calls(tmp_path) == []


def test_a_cluster_that_does_not_answer_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "no-cluster").touch()
    failed = clove(environ, *LAB)
    said = " ".join(failed.stderr.split())
    assert "was refused - did you specify the right host or port?" in said
    assert "kubectl get nodes" in said


def test_a_dry_run_applies_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    said = clove(environ, *LAB, "--dry-run")
    assert "2 kernels of registry.example.org/clove:1" in " ".join(said.stdout.split())
    assert calls(tmp_path) == []


def test_pods_reach_a_relay_in_the_cluster_or_in_a_network_that_is_named() -> None:
    def added(hub: str = "wss://relay.example.org:8765", relay_network: str = "") -> list[object]:
        made = objects(Pool("lab", 1, "i", hub, relay_network=relay_network))
        (policy,) = (each for each in made if each["kind"] == "NetworkPolicy")
        return list(policy["spec"]["egress"][3:])

    assert added() == []
    inside = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "fleet"}}}
    assert added(hub="wss://relay.fleet.svc:8765") == [{"to": [inside]}]
    assert added(relay_network="10.9.0.0/16") == [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}]


def test_privileged_pods_are_so_only_when_that_is_said() -> None:
    for privileged in (False, True):
        made = objects(Pool("lab", 1, "i", "wss://r.example.org:8765", privileged=privileged))
        (pool,) = (each for each in made if each["kind"] == "StatefulSet")
        pod = pool["spec"]["template"]["spec"]
        assert pod["containers"][0]["securityContext"].get("privileged", False) is privileged
        assert pod["securityContext"]["runAsUser"] == 1000
        assert pod.get("hostUsers") is (None if privileged else False)


@pytest.mark.time_limit(900)
def test_killed_anywhere_it_comes_to_the_same_end(environ: dict[str, str], tmp_path: Path) -> None:
    words = ["deploy", *LAB]
    deployment = Deployment(
        words=words,
        undo=[*words, "--destroy", "--yes"],
        world=lambda: there(tmp_path),
        tmp_path=tmp_path,
        environ=environ,
        code=CODE,
    )
    assert check_killed_everywhere(deployment, lambda most: range(1, most + 1, STRIDE)) > 2
