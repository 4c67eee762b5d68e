"""A terraform whose cloud is a directory: C{init}, C{plan}, C{show}, C{apply}, C{output} and C{destroy} as `clove` uses them.

Its state file, plans in JSON and outputs have terraform's own format. The cloud, C{$CLOVE_FAKE_CLOUD}, has C{calls}
(each command line), C{buckets/NAME/KEY} and C{instances/MACHINE.json} with an instance's id and user data. What is in
the state and not in the cloud is made anew, as after a refresh.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Resource", "main"]

STATE = "terraform.tfstate"


class Resource(NamedTuple):
    """One resource, as variables ask for it or a state has it."""

    kind: str
    name: str
    key: str | None
    attributes: dict[str, Any]

    @property
    def address(self) -> str:
        return f"{self.kind}.{self.name}" + ("" if self.key is None else f'["{self.key}"]')


class Cloud:
    """The directory that stands for a cloud."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def place(self, resource: Resource) -> Path | None:
        """Where a resource is; None: it is one that leaves no trace here."""
        given = resource.attributes
        if resource.name == "machine" and "instance" in resource.kind:
            return self.directory / "instances" / f"{resource.key}.json"
        if "bucket" in given and "key" in given:
            return self.directory / "buckets" / str(given["bucket"]) / str(given["key"])
        if resource.name == "this":
            return self.directory / "buckets" / str(given["bucket"])
        return None

    def has(self, resource: Resource) -> bool:
        place = self.place(resource)
        return place is None or place.exists()

    def make(self, resource: Resource) -> None:
        place = self.place(resource)
        if place is None:
            return
        if "source" in resource.attributes:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(resource.attributes["source"], place)
        elif resource.key is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            beside = place.with_suffix(".new")
            beside.write_text(json.dumps(resource.attributes))
            beside.rename(place)

    def remove(self, resource: Resource) -> None:
        place = self.place(resource)
        if place is not None and place.is_dir():
            shutil.rmtree(place)
        elif place is not None:
            place.unlink(missing_ok=True)


class Module:
    """The directory that terraform works in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        found = json.loads((directory / "terraform.tfvars.json").read_text())
        self.variables: dict[str, Any] = found
        declared = re.findall(
            r'^variable "(\w+)"', (directory / "variables.tf").read_text(), re.MULTILINE
        )
        assert set(found) <= set(declared), f"undeclared: {set(found) - set(declared)}"

    def wanted(self) -> list[Resource]:
        given = self.variables
        google = "project" in given
        bucket = "google_storage_bucket" if google else "aws_s3_bucket"
        thing = "google_storage_bucket_object" if google else "aws_s3_object"
        role = "google_service_account" if google else "aws_iam_role"
        instance = "google_compute_instance" if google else "aws_instance"
        found = [Resource(bucket, "this", None, {"bucket": given["bucket"]})]
        bundle = {
            "bucket": given["bucket"],
            "key": given["bundle_key"],
            "source": given["bundle_file"],
        }
        found.append(Resource(thing, "bundle", None, bundle))
        for machine, path in given["join_token_files"].items():
            token = {"bucket": given["bucket"], "key": f"join/{machine}", "source": path}
            found.append(Resource(thing, "join_token", machine, token))
        found += [Resource(role, "machine", machine, {}) for machine in given["machines"]]
        for machine, path in given["machines"].items():
            made = {"user_data": Path(path).read_text(), "type": given["instance_type"]}
            found.append(Resource(instance, "machine", machine, made))
        return found

    def state(self) -> list[Resource]:
        try:
            text = (self.directory / STATE).read_text()
        except FileNotFoundError:
            text = ""
        if not text:  # as terraform takes an empty one
            return []
        found = json.loads(text)
        return [
            Resource(each["type"], each["name"], one.get("index_key"), one["attributes"])
            for each in found["resources"]
            for one in each["instances"]
        ]

    def keep(self, resources: list[Resource]) -> None:
        made: dict[tuple[str, str], Any] = {}
        for each in resources:
            own = made.setdefault((each.kind, each.name), [])
            index = {} if each.key is None else {"index_key": each.key}
            own.append({**index, "schema_version": 0, "attributes": each.attributes})
        state = {
            "version": 4,
            "terraform_version": "1.11.4",
            "serial": len(resources),
            "lineage": str(uuid.uuid5(uuid.NAMESPACE_URL, str(self.directory))),
            "outputs": self.outputs(resources) if resources else {},
            "resources": [
                {
                    "mode": "managed",
                    "type": kind,
                    "name": name,
                    "provider": f'provider["registry.terraform.io/hashicorp/{kind.split("_")[0]}"]',
                    "instances": instances,
                }
                for (kind, name), instances in made.items()
            ],
        }
        beside = self.directory / f"{STATE}.new"
        beside.write_text(json.dumps(state, indent=2))
        beside.rename(self.directory / STATE)

    def outputs(self, resources: list[Resource]) -> dict[str, Any]:
        machines = [each for each in resources if "instance" in each.kind]
        instances = {str(each.key): each.attributes.get("id") for each in machines}
        kind = ["object", dict.fromkeys(instances, "string")]
        return {
            "addresses": {"value": dict.fromkeys(instances, "203.0.113.7"), "type": kind},
            "bucket": {"value": self.variables["bucket"], "type": "string"},
            "image": {"value": "ami-0123456789abcdef0", "type": "string"},
            "instances": {"value": instances, "type": kind},
        }


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    with (directory / ".terraform.tfstate.lock.info").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def changes(module: Module, cloud: Cloud) -> list[tuple[str, Resource]]:
    """What an apply does, in its order."""
    have = {each.address: each for each in module.state() if cloud.has(each)}
    wanted = {each.address: each for each in module.wanted()}
    found = [("delete", each) for address, each in have.items() if address not in wanted]
    for address, each in wanted.items():
        if address not in have:
            found.append(("create", each))
        elif "source" in each.attributes and each.attributes != have[address].attributes:
            found.append(("update", each))
        else:
            found.append(("no-op", have[address]))
    return found


def apply(module: Module, cloud: Cloud, todo: list[tuple[str, Resource]]) -> None:
    kept = {each.address: each for each in module.state() if cloud.has(each)}
    for action, each in todo:
        if action == "no-op":
            continue
        if action == "delete":
            cloud.remove(each)
            kept.pop(each.address, None)
        else:
            if "instance" in each.kind:
                each.attributes["id"] = f"i-{uuid.uuid4().hex[:17]}"
            cloud.make(each)
            kept[each.address] = each
        module.keep(list(kept.values()))
        print(f"{each.address}: {action} complete after 0s")


def main(words: list[str]) -> int:
    """Do what terraform would."""
    cloud = Cloud(Path(os.environ["CLOVE_FAKE_CLOUD"]))
    cloud.directory.mkdir(exist_ok=True)
    with (cloud.directory / "calls").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    directory = Path(words[0].removeprefix("-chdir="))
    command, options = words[1], words[2:]
    if (cloud.directory / f"fails-{command}").exists():
        print(
            "╷\n│ Error: creating EC2 Instance: UnauthorizedOperation\n│\n│   with aws_instance.machine",
            flush=True,
        )
        return 1
    if command == "init":
        (directory / ".terraform.lock.hcl").write_text("# made by terraform init\n")
        return 0
    module = Module(directory)
    with locked(directory):
        return _locked_command(command, options, module, cloud)


def _planned(plan: Path) -> list[tuple[str, Resource]]:
    return [(action, Resource(**each)) for action, each in json.loads(plan.read_text())]


def _locked_command(command: str, options: list[str], module: Module, cloud: Cloud) -> int:
    plan = module.directory / "plan"
    if command == "plan":
        plan.write_text(
            json.dumps([(action, each._asdict()) for action, each in changes(module, cloud)])
        )
    elif command == "apply":
        apply(module, cloud, _planned(plan))
    elif command == "destroy":
        apply(module, cloud, [("delete", each) for each in reversed(module.state())])
    elif command == "output":
        print(json.dumps(module.outputs(module.state()) if module.state() else {}))
    elif command == "show" and options[-1] == "plan":
        told: list[dict[str, Any]] = [
            {"address": each.address, "mode": "managed", "change": {"actions": [action]}}
            for action, each in _planned(plan)
        ]
        print(json.dumps({"format_version": "1.2", "resource_changes": told}))
    elif command == "show":
        told = [{"address": each.address, "mode": "managed"} for each in module.state()]
        values = {"root_module": {"resources": told}}
        print(json.dumps({"format_version": "1.0", **({"values": values} if told else {})}))
    else:
        print(f"Terraform has no command named {command!r}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
