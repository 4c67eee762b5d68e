"""What the targets for clouds make of their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clove.deploy.cloud.steps import Cloud
from clove.deploy.cloud.target import egress_ports
from clove.deploy.journal import Record
from clove.deploy.kinds import KINDS, Place, find_kind
from clove.deploy.relay import Relay
from clove.deploy.step import Step, Target
from clove.deploy.targets import aws, gcp
from clove.deploy.upgrade import upgradable
from clove.errors import CloveError, InvalidRequest

HUB = "wss://relay.example.org:8765"
OPTIONS = {
    "count": 2,
    "disk": 20,
    "project": "p",
    "region": "eu-central-1",
    "spot": False,
    "terraform": "terraform",
    "type": "t3.medium",
    "zone": "",
}


def no_client() -> Any:
    raise AssertionError("the relay was asked")


def target(kind: Any, tmp_path: Path, name: str = "lab", **options: Any) -> Target:
    place = Place(name, tmp_path, Relay("https://relay.example.org:8766", HUB, no_client), {})
    found: Target = kind.make(place, {**OPTIONS, **options})
    return found


def steps(kind: Any, tmp_path: Path, name: str = "lab", **options: Any) -> dict[str, Step]:
    return {step.name: step for step in target(kind, tmp_path, name, **options).steps}


def cloud(kind: Any, tmp_path: Path, **options: Any) -> Cloud:
    found = steps(kind, tmp_path, **options)["bundle"]._cloud  # type: ignore[attr-defined]
    assert isinstance(found, Cloud)
    return found


@pytest.mark.parametrize(
    ("kind", "machine"),
    [
        ("t3.medium", "x86_64"),
        ("g5.xlarge", "x86_64"),
        ("t4g.medium", "aarch64"),
        ("c7gn.large", "aarch64"),
        ("im4gn.large", "aarch64"),
        ("a1.large", "aarch64"),
    ],
)
def test_an_instance_type_of_amazon_says_its_processor(
    kind: str, machine: str, tmp_path: Path
) -> None:
    made = cloud(aws, tmp_path, type=kind)
    assert made.bundle.machine == machine
    assert made.variables["architecture"] == {"aarch64": "arm64"}.get(machine, machine)


@pytest.mark.parametrize(
    ("kind", "machine"),
    [("e2-medium", "x86_64"), ("c4-standard-2", "x86_64"), ("c4a-standard-1", "aarch64")],
)
def test_a_machine_type_of_google_says_its_processor(
    kind: str, machine: str, tmp_path: Path
) -> None:
    made = cloud(gcp, tmp_path, type=kind)
    assert made.bundle.machine == machine
    assert str(made.variables["image"]).endswith("arm64" if machine == "aarch64" else "amd64")


def test_machines_reach_https_and_the_relay() -> None:
    assert egress_ports(HUB) == [443, 8765]
    assert egress_ports("wss://relay.example.org") == [443]


@pytest.mark.parametrize(
    ("kind", "program"),
    [(aws, "aws ec2 get-console-output"), (gcp, "gcloud compute instances get-serial-port-output")],
)
def test_a_machine_that_does_not_come_is_looked_at_by_its_console(
    kind: Any, program: str, tmp_path: Path
) -> None:
    tunnel: Any = steps(kind, tmp_path)["tunnel"]
    said = tunnel._where({"instances": {"lab-1": "i-0123"}})
    boot: Any = steps(kind, tmp_path)["boot"]
    assert boot.where("lab-1", {"instances": {"lab-1": "i-0123"}}) == said
    assert program in said
    assert "i-0123" in said


def test_the_state_of_a_deployment_that_was_lost_is_not_taken_for_its_absence(
    tmp_path: Path,
) -> None:
    apply: Any = steps(aws, tmp_path)["apply"]
    apply.undo({}, None)  # terraform was never here
    with pytest.raises(CloveError, match="which says what there is in the cloud"):
        apply.undo({"instances": {"lab-1": "i-0123"}}, None)


@pytest.mark.parametrize("kind", ["aws", "gcp"])
def test_machines_are_numbered_where_there_are_several(kind: str) -> None:
    assert kind in KINDS
    found = find_kind(kind)
    assert found.machines("lab", {"count": 1}) == ["lab"]
    assert found.machines("lab", {"count": 2}) == ["lab-1", "lab-2"]
    for name in ("Lab", "1lab", "lab_1", "a" * 32):
        with pytest.raises(InvalidRequest):
            found.machines(name, {"count": 1})


@pytest.mark.parametrize("kind", [aws, gcp])
def test_an_upgrade_is_refused_with_its_reason_and_the_way_around(
    kind: Any, tmp_path: Path
) -> None:
    record = Record(
        name="lab",
        target="aws",
        options={},
        relay="https://relay.example.org:8766",
        machines=["lab-1"],
        command="clove deploy aws --name lab",
        created=0.0,
        clove="0.1.0",
    )
    with pytest.raises(InvalidRequest, match="let nobody in, not even by ssh") as refused:
        upgradable(target(kind, tmp_path), record)
    assert refused.value.hint.endswith("then: clove deploy aws --name lab --destroy")
