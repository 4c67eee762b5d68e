"""The steps of a deployment to a cloud: a bundle, a module with its variables, and what terraform makes of them."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final, NamedTuple

from clove.deploy.bundle import Target as BundleTarget
from clove.deploy.bundle import make_bundle
from clove.deploy.cloud.terraform import Terraform
from clove.deploy.cloud.user_data import FirstBoot, Store, user_data
from clove.deploy.cloud.variables import read_variables, write_variables
from clove.deploy.enrol import Register
from clove.deploy.relay import Enrolment
from clove.deploy.step import Facts, Planned, Progress
from clove.errors import Unavailable
from clove.regular import write_whole

__all__ = ["Apply", "Bundle", "Cloud", "Module", "Tokens"]

TOKENS: Final = "tokens"
"""A directory with the join tokens that an apply hands on; it is there for as long as that takes."""


class Cloud(NamedTuple):
    """What differs from cloud to cloud.

    @ivar kind: C{aws} or C{gcp}.
    @ivar variables: of the module, that are the same whatever was made before.
    @ivar instance: the type of the resource that a machine is.
    @ivar bundle: for which Python on which processor.
    @ivar region: where.
    @ivar costs: in words.
    """

    kind: str
    variables: Mapping[str, Any]
    instance: str
    bundle: BundleTarget
    region: str
    costs: str

    def store(self, bucket: str) -> Store:
        """A bucket, as its machines see it."""
        return Store.s3(bucket, self.region) if self.kind == "aws" else Store.gcs(bucket)


class Bundle:
    """The archive that the machines install, in the deployment's directory."""

    name = "bundle"

    def __init__(self, cloud: Cloud, directory: Path) -> None:
        self._cloud = cloud
        self._directory = directory

    def plan(self, facts: Facts) -> Planned:
        """Which one."""
        made = self._cloud.bundle
        return Planned(f"make a bundle of this Clove for Python {made.python} on {made.machine}")

    def look(self, facts: Facts) -> Facts | None:
        """The one that was made, if it is there and is that one. A deployment keeps its bundle."""
        path = self._directory / str(facts.get("bundle") or "?")
        if not path.is_file() or _sha256(path) != facts.get("sha256"):
            return None
        return {"bundle": path.name, "sha256": facts["sha256"]}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Make it."""
        made = make_bundle(self._directory, self._cloud.bundle)
        progress.note(f"{made.path.name}, {made.path.stat().st_size / 1e6:.0f} MB")
        return {"bundle": made.path.name, "sha256": made.sha256}

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Nothing: it goes with the directory."""


class Module:
    """The terraform module, each machine's user data, and the provider, in the deployment's directory."""

    name = "module"

    def __init__(
        self, cloud: Cloud, directory: Path, enrolment: Enrolment, terraform: Terraform
    ) -> None:
        self._cloud = cloud
        self._directory = directory
        self._enrolment = enrolment
        self._terraform = terraform

    def plan(self, facts: Facts) -> Planned:
        """What is written where."""
        return Planned("write the terraform module and user data; terraform init")

    def look(self, facts: Facts) -> Facts | None:
        """Whether all of it is as it would be written."""
        bucket = str(facts.get("bucket") or "")
        if not bucket or not self._terraform.is_prepared:
            return None
        wanted = self._contents(facts, bucket)
        have = all(path.is_file() and path.read_bytes() == data for path, data in wanted.items())
        kept = {"state": facts["state"]} if "state" in facts else {}
        return {"bucket": bucket, **kept} if have else None

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Write it, and have terraform fetch its provider."""
        bucket = str(facts.get("bucket") or self._known_bucket() or self._new_bucket())
        for path, data in self._contents(facts, bucket).items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, data)
        write_variables(self._terraform.directory, self._variables(facts, bucket), {})
        self._terraform.init()
        if "state" not in facts:
            self._terraform.begin_state()
        return {"bucket": bucket, "state": self._terraform.state.name}

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Nothing: it goes with the directory."""

    def _contents(self, facts: Facts, bucket: str) -> dict[Path, bytes]:
        where = self._terraform.directory
        with as_file(files("clove.deploy") / "files" / "terraform" / self._cloud.kind) as module:
            found = {where / path.name: path.read_bytes() for path in sorted(module.glob("*.tf"))}
        for machine in self._enrolment.machines:
            text = user_data(
                FirstBoot(
                    machine,
                    self._enrolment.relay.hub,
                    self._cloud.store(bucket),
                    _bundle_key(facts),
                    facts["sha256"],
                    self._enrolment.relay.authority,
                )
            )
            found[where / f"{machine}.user-data"] = text.encode()
        return found

    def _variables(self, facts: Facts, bucket: str) -> dict[str, Any]:
        return {
            **self._cloud.variables,
            "name": self._enrolment.name,
            "region": self._cloud.region,
            "bucket": bucket,
            "bundle_key": _bundle_key(facts),
            "bundle_file": str(self._directory / facts["bundle"]),
            "machines": {
                machine: str(self._terraform.directory / f"{machine}.user-data")
                for machine in self._enrolment.machines
            },
        }

    def _known_bucket(self) -> str:
        """The one that a killed run has chosen."""
        return str(read_variables(self._terraform.directory).get("bucket", ""))

    def _new_bucket(self) -> str:
        """A name that no other account has, and that cannot be foreseen: 63 characters at most."""
        return f"clove-{self._enrolment.name}-{secrets.token_hex(6)}"


class Apply:
    """The machines, and what they need, in the cloud; each has a join token to fetch, or has joined."""

    name = "apply"

    def __init__(self, cloud: Cloud, enrolment: Enrolment, terraform: Terraform) -> None:
        self._cloud = cloud
        self._enrolment = enrolment
        self._terraform = terraform
        self._tokens = terraform.directory / TOKENS

    def plan(self, facts: Facts) -> Planned:
        """What is made, and what it costs."""
        names = ", ".join(self._enrolment.machines)
        return Planned(
            f"terraform apply in {self._cloud.region}: {names}, network, bucket, roles",
            self._cloud.costs,
        )

    def look(self, facts: Facts) -> Facts | None:
        """What there is, if the cloud has all of it, and no token was made and not handed on.

        @raise Unavailable: terraform's state is gone, which says what there is.
        """
        self._check_state(facts)
        if self._tokens.exists() or not self._terraform.resources():
            return None
        if not all(map(self._enrolment.may_join, self._enrolment.machines)):
            return None
        return None if self._terraform.plan().actions else self._facts()

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Make what is not there. A machine that is made anew, as after a spot instance was ended, joins anew."""
        variables = read_variables(self._terraform.directory)
        write_variables(self._terraform.directory, variables, {})
        planned = self._terraform.plan()
        for machine in self._enrolment.machines:
            made = planned.makes(f'{self._cloud.instance}.machine["{machine}"]')
            if made and self._enrolment.has_joined(machine):
                progress.note(f"{machine} is gone and is made anew; what it kept is lost")
                self._enrolment.relay.fleet.remove_machine(machine)
        Register(self._enrolment).do(facts, progress)
        try:
            write_variables(self._terraform.directory, variables, self._token_files())
            progress.note(f"terraform: {self._terraform.plan().text}")
            self._terraform.apply(progress.note)
        finally:
            shutil.rmtree(self._tokens, ignore_errors=True)
        return self._facts()

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Remove all of it.

        @raise Unavailable: terraform's state is gone, which says what there is.
        """
        shutil.rmtree(self._tokens, ignore_errors=True)
        self._check_state(facts)
        if self._terraform.state.exists():
            self._terraform.destroy(progress.note)

    def _check_state(self, facts: Facts) -> None:
        """@raise Unavailable: terraform's state is gone: without it nothing that it has made is known."""
        state, begun = self._terraform.state, "state" in facts or bool(facts.get("instances"))
        size = state.stat().st_size if state.exists() else -1
        if (size < 0 and begun) or (size == 0 and facts.get("instances")):
            raise Unavailable(
                f"{state} is {'gone' if size < 0 else 'empty'}, which says what there is in the cloud",
                hint=f"put it back ({state.name}.backup beside it may be one), or look in the cloud for what has the "
                f"tag or label clove:deployment={self._enrolment.name}, remove that by hand, and then "
                f"{self._terraform.directory.parent}",
            )

    def _token_files(self) -> dict[str, str]:
        """Fresh tokens for those that have yet to join, as files; the names differ from those before."""
        shutil.rmtree(self._tokens, ignore_errors=True)
        self._tokens.mkdir(mode=0o700)
        found = {}
        for machine in self._enrolment.machines:
            if not self._enrolment.has_joined(machine):
                path = self._tokens / f"{machine}-{secrets.token_hex(4)}"
                write_whole(path, self._enrolment.fresh_token(machine).encode())
                found[machine] = str(path)
        return found

    def _facts(self) -> Facts:
        outputs = self._terraform.outputs()
        return {name: outputs.get(name) for name in ("instances", "addresses", "image")}


class Tokens:
    """The join tokens, used up by now, are out of the bucket."""

    name = "tokens"

    def __init__(self, enrolment: Enrolment, terraform: Terraform) -> None:
        self._enrolment = enrolment
        self._terraform = terraform

    def plan(self, facts: Facts) -> Planned:
        """What is removed."""
        return Planned("terraform apply: without the join tokens, which are used up")

    def look(self, facts: Facts) -> Facts | None:
        """Whether none is there."""
        left = [each for each in self._terraform.resources() if ".join_token[" in each]
        return None if left else {}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Remove them."""
        variables = read_variables(self._terraform.directory)
        write_variables(self._terraform.directory, variables, {})
        progress.note(f"terraform: {self._terraform.plan().text}")
        self._terraform.apply(progress.note)
        return {}

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Nothing: they go with the bucket."""


def _bundle_key(facts: Facts) -> str:
    return f"bundle-{facts['sha256']}.tar.gz"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
