"""The terraform modules as a parser of HCL reads them: what is declared is described and used, and nothing is opened.

terraform itself tries the one for AWS (C{tests/integration/deploy/test_terraform_aws.py}); a provider of
Google's is not to be had on every machine, so for its module this is all.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest

MODULES = Path(__file__).parents[3] / "deploy" / "terraform"
CLOUDS = ("aws", "gcp")
PLAIN = hcl2.SerializationOptions(
    with_comments=False, explicit_blocks=False, strip_string_quotes=True
)


class Module:
    """All files of one module."""

    def __init__(self, directory: Path) -> None:
        self.text = "\n".join(path.read_text() for path in sorted(directory.glob("*.tf")))
        read: dict[str, Any] = hcl2.loads(self.text + "\n", serialization_options=PLAIN)
        self.variables = _named(read["variable"])
        self.outputs = _named(read["output"])
        self.resources = dict(_typed(read["resource"]))
        self.data = dict(_typed(read.get("data", [])))

    def of(self, kind: str) -> dict[str, Any]:
        """The resources of a type, by name."""
        return {name: body for (each, name), body in self.resources.items() if each == kind}


def _named(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {_bare(name): body for block in blocks for name, body in block.items()}


def _typed(blocks: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], Any]]:
    for block in blocks:
        for kind, named in block.items():
            for name, body in named.items():
                yield (_bare(kind), _bare(name)), body


def _bare(name: str) -> str:
    return name.strip('"')


@pytest.fixture(scope="module", params=CLOUDS)
def module(request: pytest.FixtureRequest) -> Module:
    return Module(MODULES / request.param)


@pytest.fixture(scope="module")
def aws() -> Module:
    return Module(MODULES / "aws")


@pytest.fixture(scope="module")
def gcp() -> Module:
    return Module(MODULES / "gcp")


@pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform here")
@pytest.mark.parametrize("cloud", CLOUDS)
def test_terraform_would_format_nothing(cloud: str) -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", str(MODULES / cloud)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_variable_is_described_typed_and_used(module: Module) -> None:
    for name, body in module.variables.items():
        assert body["description"].endswith("."), name
        assert body["type"], name
        uses = re.findall(rf"\bvar\.{name}\b", module.text)
        within = re.findall(rf"\bvar\.{name}\b", str(body))
        assert len(uses) > len(within), f"{name} is used nowhere but in its own validation"


def test_every_name_that_is_used_is_declared(module: Module) -> None:
    assert set(re.findall(r"\bvar\.(\w+)", module.text)) == set(module.variables)
    for kind, name in re.findall(r"\bdata\.(\w+)\.(\w+)", module.text):
        assert (kind, name) in module.data
    for kind, name in re.findall(r"(?<![\w.])((?:aws|google)_\w+)\.(\w+)", module.text):
        assert (kind, name) in module.resources, f"{kind}.{name}"


def test_every_output_is_described_and_refers_to_what_is_made(module: Module) -> None:
    for name, body in module.outputs.items():
        assert body["description"].endswith("."), name
        assert re.search(r"aws_|google_|var\.", str(body["value"])), name
    assert set(module.outputs) == {"instances", "addresses", "bucket", "image"}


def test_both_modules_are_told_the_same() -> None:
    aws, gcp = (set(Module(MODULES / cloud).variables) for cloud in CLOUDS)
    assert aws - gcp == {"architecture", "image_id"}
    assert gcp - aws == {"project", "image", "disk_key"}


def test_a_token_is_in_no_variable_and_no_content(module: Module) -> None:
    assert {name for name in module.variables if "token" in name} == {"join_token_files"}
    tokens = [body for (_, name), body in module.resources.items() if name == "join_token"]
    assert [body["source"] for body in tokens] == ["${each.value}"]
    assert not re.search(r"\bcontent(_base64)?\s*=", module.text)


def test_machines_come_one_for_each_id(module: Module) -> None:
    (instances,) = (
        *module.of("aws_instance").values(),
        *module.of("google_compute_instance").values(),
    )
    assert instances["for_each"] == "${var.machines}"


def test_aws_lets_nothing_in(aws: Module) -> None:
    assert not any("ingress" in kind for kind, _ in aws.resources)
    assert not aws.of("aws_security_group_rule")
    for kind in ("aws_security_group", "aws_default_security_group"):
        for body in aws.of(kind).values():
            assert "ingress" not in body
            assert "egress" not in body
    (rule,) = aws.of("aws_vpc_security_group_egress_rule").values()
    assert rule["ip_protocol"] == "tcp"
    assert aws.of("aws_instance")["machine"]["vpc_security_group_ids"] == [
        "${aws_security_group.machine.id}"
    ]


def test_aws_encrypts_and_closes_the_metadata_service(aws: Module) -> None:
    machine = aws.of("aws_instance")["machine"]
    assert machine["root_block_device"][0]["encrypted"] is True
    options = machine["metadata_options"][0]
    assert options["http_tokens"] == "required"
    assert options["http_put_response_hop_limit"] == 1
    (closed,) = aws.of("aws_s3_bucket_public_access_block").values()
    assert [value for key, value in closed.items() if key != "bucket"] == [True] * 4
    assert aws.of("aws_s3_bucket_server_side_encryption_configuration")


def test_aws_machines_read_two_objects_and_nothing_else(aws: Module) -> None:
    statements = aws.data["aws_iam_policy_document", "machine"]["statement"]
    (statement,) = statements
    assert statement["actions"] == ["s3:GetObject"]
    assert [each.split("/", 1)[1] for each in statement["resources"]] == [
        "${var.bundle_key}",
        "join/${each.key}",
    ]
    attached = {kind for kind, _ in aws.resources if kind.startswith("aws_iam_")}
    assert attached == {"aws_iam_role", "aws_iam_role_policy", "aws_iam_instance_profile"}


def test_gcp_lets_nothing_in(gcp: Module) -> None:
    rules = gcp.of("google_compute_firewall")
    inward = [body for body in rules.values() if body["direction"] == "INGRESS"]
    assert inward
    assert all("allow" not in body and body["deny"] for body in inward)
    outward = [body for body in rules.values() if body["direction"] == "EGRESS"]
    allowed = [body for body in outward if "allow" in body]
    denied = [body for body in outward if "deny" in body]
    assert [body["allow"][0]["protocol"] for body in allowed] == ["tcp"]
    assert [body["deny"][0]["protocol"] for body in denied] == ["all"]
    assert max(body["priority"] for body in allowed) < min(body["priority"] for body in denied)


def test_gcp_machines_read_two_objects_and_nothing_else(gcp: Module) -> None:
    (member,) = gcp.of("google_storage_bucket_iam_member").values()
    assert member["role"] == "roles/storage.objectViewer"
    expression = str(member["condition"][0]["expression"])
    assert "var.bundle_key" in expression
    assert "join/${each.key}" in expression
    machine = gcp.of("google_compute_instance")["machine"]
    assert machine["service_account"][0]["scopes"] == [
        "https://www.googleapis.com/auth/devstorage.read_only"
    ]
    assert machine["metadata"]["block-project-ssh-keys"] == "true"
    (bucket,) = gcp.of("google_storage_bucket").values()
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
