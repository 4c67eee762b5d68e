"""The step C{pods}: a namespace with a pool of kernels, and what they join by."""

from __future__ import annotations

from typing import Any, Final

from clove.deploy.kubernetes.kubectl import Kubectl
from clove.deploy.kubernetes.manifests import LABEL, Pool, namespace_of, objects, secrets
from clove.deploy.relay import Enrolment
from clove.deploy.step import Facts, Planned, Progress
from clove.errors import AlreadyExists

__all__ = ["PodsStep"]

DELETE_SECONDS: Final = 600
"""Pods wait for their agents: five minutes."""
ROLL_SECONDS: Final = 900


class PodsStep:
    """The pods of a deployment, in a namespace of its own."""

    name = "pods"

    def __init__(self, kubectl: Kubectl, enrolment: Enrolment, pool: Pool) -> None:
        self._kubectl = kubectl
        self._enrolment = enrolment
        self._pool = pool

    @property
    def namespace(self) -> str:
        """Where they are."""
        return namespace_of(self._pool.name)

    def plan(self, facts: Facts) -> Planned:
        """What is applied."""
        pool = self._pool
        how = "privileged" if pool.privileged else "with a user namespace"
        kernels = f"{pool.size} kernel{'s' * (pool.size != 1)} of {pool.image}"
        one = pool.size == 1
        cost = "a pod and its volume cost" if one else f"{pool.size} pods with a volume each cost"
        return Planned(
            f"apply {kernels}, each {how}, in the namespace {self.namespace}",
            f"what {cost} there",
        )

    def look(self, facts: Facts) -> Facts | None:
        """Whether the pool is as it was asked for, and each of its machines has joined or still can."""
        if not self._is_ours():
            return None
        found = self.pool_there()
        if found is None or found["spec"]["replicas"] != self._pool.size:
            return None
        if not all(map(self._enrolment.may_join, self._enrolment.machines)):
            return None
        return {"namespace": self.namespace}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Apply all of it; with a token for each machine that has not joined.

        @raise AlreadyExists: the namespace is another's.
        """
        self._check_ours()
        own = self._enrolment
        found = self.pool_there()
        image = self._pool.image if found is None else _image(found)  # an upgrade stays
        made = objects(self._pool._replace(image=image))
        joining = [machine for machine in own.machines if not own.has_joined(machine)]
        tokens = {machine: own.fresh_token(machine) for machine in joining}
        namespace, *others = made
        hidden = secrets(self._pool, tokens, own.relay.authority)
        self._kubectl.apply([namespace, *hidden, *others])
        if found is not None and joining:
            self._start_anew(joining)
        return {"namespace": self.namespace}

    def _start_anew(self, machines: list[str]) -> None:
        """Pods read their token when they start."""
        words = ["delete", "pod", *machines, "--namespace", self.namespace, "--ignore-not-found"]
        self._kubectl.ask(*words, "--wait=false")

    def exchange(self, image: str) -> None:
        """Have the pods run another image, one after the other."""
        made = objects(self._pool._replace(image=image))
        self._kubectl.apply(made)
        self._kubectl.rolled_out(self._pool.name, self.namespace, ROLL_SECONDS)

    def image(self) -> str | None:
        """What the pods are of; None: there are none."""
        found = self.pool_there()
        return None if found is None else _image(found)

    def pool_there(self) -> dict[str, Any] | None:
        """The StatefulSet."""
        return self._kubectl.find("statefulset", self._pool.name, self.namespace)

    def _is_ours(self) -> bool:
        found = self._kubectl.find("namespace", self.namespace)
        if found is None or found.get("status", {}).get("phase") == "Terminating":
            return False
        return bool(found["metadata"].get("labels", {}).get(LABEL) == self._pool.name)

    def _check_ours(self) -> None:
        found = self._kubectl.find("namespace", self.namespace)
        if found is not None and not self._is_ours():
            raise AlreadyExists(
                f"the cluster has a namespace {self.namespace} that this deployment did not make, or that is being deleted",
                hint="choose another --name, or wait until it is gone",
            )

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Delete the namespace with all in it: pods, volumes, secrets."""
        found = self._kubectl.find("namespace", self.namespace)
        if found is None or found["metadata"].get("labels", {}).get(LABEL) != self._pool.name:
            return
        progress.note("deleting the pods; each waits up to five minutes for its agents")
        self._kubectl.delete_namespace(self.namespace, DELETE_SECONDS)


def _image(pool: dict[str, Any]) -> str:
    (container,) = pool["spec"]["template"]["spec"]["containers"]
    return str(container["image"])
