"""The target C{kubernetes}: a pool of pods, each a machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clove.deploy.addresses import check_reachable
from clove.deploy.enrol import Register, Smoke, Tunnel
from clove.deploy.kinds import Place
from clove.deploy.kubernetes.kubectl import Kubectl
from clove.deploy.kubernetes.manifests import Pool
from clove.deploy.kubernetes.steps import PodsStep
from clove.deploy.relay import Enrolment
from clove.deploy.step import Facts, Progress, Step
from clove.errors import InvalidRequest, NotFound

__all__ = ["CHANGEABLE", "KubernetesTarget", "machines", "make"]

CHANGEABLE: Final = ("image",)
"""What new pods are of is said by `clove deploy upgrade`; here it is for a pool that is not there yet."""
_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")
TUNNEL_SECONDS: Final = 600.0
"""A cluster may have to find a node, a volume and an image first."""


def machines(name: str, options: Mapping[str, Any]) -> list[str]:
    """The pods' names."""
    return [f"{name}-{number}" for number in range(options["count"])]


def make(place: Place, options: Mapping[str, Any]) -> KubernetesTarget:
    """The target.

    @param options: count, image, kube_context, storage, memory, cpus, privileged, relay_network.
    @raise InvalidRequest: the name is none for an object, or the relay's address none for a pod.
    """
    if _NAME.fullmatch(place.name) is None:
        raise InvalidRequest(
            f"{place.name!r} cannot be the name of pods",
            hint="small letters, digits and hyphens, the first a letter, at most 50; say --name",
        )
    check_reachable(place.relay.hub, "a pod")
    return KubernetesTarget(place, options)


class KubernetesTarget:
    """A pool."""

    def __init__(self, place: Place, options: Mapping[str, Any]) -> None:
        ids = machines(place.name, options)
        self._enrolment = Enrolment(place.relay, place.name, ids, place.labels, "kubernetes")
        pool = Pool(
            place.name,
            options["count"],
            options["image"],
            place.relay.hub,
            bool(place.relay.authority),
            options["storage"],
            options["memory"],
            options["cpus"],
            options["privileged"],
            options["relay_network"],
        )
        self._kubectl = Kubectl(options["kube_context"])
        self._pods = PodsStep(self._kubectl, self._enrolment, pool)

    @property
    def steps(self) -> Sequence[Step]:
        """In their order."""
        own = self._enrolment
        tunnel = Tunnel(own, self._where, seconds=TUNNEL_SECONDS)
        return Register(own), self._pods, tunnel, Smoke(own)

    def _where(self, facts: Facts) -> str:
        within = f"{self._kubectl.command} --namespace {self._pods.namespace}"
        return f"look at: {within} get pods,events; {within} logs {self._enrolment.machines[0]}"

    def installed(self, facts: Facts) -> str:
        """The image that the pods are of."""
        found = self._pods.image()
        if found is None:
            raise NotFound("the pods are gone", hint="deploy them again, with the same command")
        return found

    def upgrade(self, facts: Facts, version: str, bundle: str, progress: Progress) -> str:
        """Have the pods run another image, one after the other, when their agents have ended.

        @param version: the image.
        @raise InvalidRequest: none was named.
        """
        if not version:
            raise InvalidRequest("pods run an image", hint="say which: --to IMAGE")
        self._pods.exchange(version)
        return version

    def change_back(self, facts: Facts, version: str, progress: Progress) -> None:
        """Have the pods run the image that they ran before."""
        self._pods.exchange(version)
