"""What this host can isolate, found out by really trying, and what would change it.

Standard library only; blocking (a fraction of a second). A throw-away child
(`inside/probing.py`) does what could leave something behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from clove.sandbox.container import cgroup_remedy, in_container, read_text
from clove.sandbox.inside.probing import NAMESPACES
from clove.sandbox.namespace_settings import remedy_for_namespaces

__all__ = ["Feature", "Report", "probe"]

_PROBING: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside", "probing.py")
_CHILD_SECONDS: Final = 20
_FAILED: Final = "the probe failed:"


@dataclass(frozen=True, slots=True)
class Feature:
    """One mechanism.

    @ivar name: such as `namespace.user` or `cgroup.memory`.
    @ivar detail: what was found; for one that is missing, why.
    @ivar remedy: what would make it available; empty if nothing is known.
    """

    name: str
    available: bool
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All features of this host for this user."""

    features: tuple[Feature, ...]

    def __getitem__(self, name: str) -> Feature:
        """The feature with this name.

        @raise KeyError: no such feature.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @property
    def missing(self) -> tuple[Feature, ...]:
        """What the default sandbox needs and this host does not give.

        What a whole one said of itself (`sandbox` and all below it) counts too, but
        for Landlock, without which agents are sandboxed as well.
        """
        needed = (*(f"namespace.{name}" for name in NAMESPACES), "seccomp")
        whole = (
            feature
            for feature in self.features
            if feature.name.partition(".")[0] == "sandbox" and feature.name != "sandbox.landlock"
        )
        found = (*(self[name] for name in needed), *whole)
        return tuple(feature for feature in found if not feature.available)

    @property
    def sandbox(self) -> bool:
        """True if the default sandbox can be had."""
        return not self.missing

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"sandbox": self.sandbox, "features": [asdict(each) for each in self.features]}


def probe(python: str = sys.executable) -> Report:
    """Try everything.

    @param python: the interpreter that the child runs.
    """
    attempts = _attempts(python)
    features = [*_namespaces(attempts), _openat2(), *_cgroups()]
    features += [_attempted(name, attempts) for name in ("seccomp", "landlock")]
    return Report(tuple(features))


def _attempts(python: str) -> dict[str, str]:
    """What the child says: for each attempt "" or "errno text", landlock its ABI."""
    try:
        child = subprocess.run(
            [python, "-I", "-S", _PROBING],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHILD_SECONDS,
            check=False,
        )
        found = json.loads(child.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return dict.fromkeys((*NAMESPACES, "seccomp", "landlock"), f"{_FAILED} {error}")
    return {str(name): str(text) for name, text in found.items()}


def _namespaces(attempts: Mapping[str, str]) -> Iterable[Feature]:
    failed = [attempts[name] for name in NAMESPACES if attempts.get(name)]
    remedy = remedy_for_namespaces() if failed else ""
    if failed and failed[0].startswith(_FAILED):
        remedy = "give this user an interpreter that it may run"
    for name in NAMESPACES:
        failure = attempts.get(name, "not tried")
        detail = failure or "as root" * (os.geteuid() == 0) or "unprivileged"
        yield Feature(f"namespace.{name}", not failure, detail, remedy if failure else "")


def _attempted(name: str, attempts: Mapping[str, str]) -> Feature:
    from clove.sandbox.seccomp.filters import sandbox_filter

    remedies = {
        "landlock": "boot Linux 5.19 or later with CONFIG_SECURITY_LANDLOCK=y and landlock in its "
        "lsm= list; agents are sandboxed without it as well",
        "seccomp": "boot a kernel with CONFIG_SECCOMP_FILTER=y",
    }
    found = attempts.get(name, "not tried")
    machine = os.uname().machine
    if name == "seccomp" and sandbox_filter(machine) is None:
        return Feature(name, False, f"no filter for {machine}", "use x86_64 or aarch64")
    if found == "ABI 1":
        found = "ABI 1 forbids to move files between directories"
        return Feature(name, False, found, remedies[name])
    if not found or found.startswith("ABI"):
        return Feature(name, True, found or "filters")
    return Feature(name, False, found, "" if found.startswith(_FAILED) else remedies[name])


def _openat2() -> Feature:
    from clove.sandbox.inside.openat2 import available

    if available():
        return Feature("openat2", True, "system call")
    return Feature(
        "openat2",
        False,
        "refused or older than Linux 5.6; paths are walked one component at a time instead",
        "use Linux 5.6 or a seccomp profile of a container that knows openat2",
    )


def _cgroups() -> Iterable[Feature]:
    from clove.sandbox.cgroup.sites import (
        WANTED,
        WELCOME,
        CgroupsUnavailable,
        disks_by_weight,
        find_site,
    )

    names = sorted(WANTED | WELCOME)

    try:
        site = find_site()
    except CgroupsUnavailable as error:
        yield Feature("cgroup", False, error.reason, error.remedy)
        for name in names:
            yield Feature(f"cgroup.{name}", False, "no cgroup to put it in", error.remedy)
        return
    yield Feature("cgroup", True, site.path)
    for name in names:
        if name in site.controllers:
            detail = site.path
            if name == "io":
                disks = ", ".join(disks_by_weight()) or "no disk (neither BFQ nor io.cost is on)"
                detail = f"weights, which count on {disks}"
            yield Feature(f"cgroup.{name}", True, detail)
            continue
        yield Feature(f"cgroup.{name}", False, f"not given to {site.path}", _controller(name))


def _controller(name: str) -> str:
    """What helps against a missing controller."""
    for line in read_text("/proc/self/cgroup").splitlines():
        if name in line.split(":")[1].split(","):
            which = "the host" if in_container() else "this host"
            return (
                "the controller is in use by cgroup version 1: "
                f"boot {which} with systemd.unified_cgroup_hierarchy=1"
            )
    return cgroup_remedy()
