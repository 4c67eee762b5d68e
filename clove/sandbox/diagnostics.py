"""Why isolation cannot be had, and what would help. Pure."""

from __future__ import annotations

import errno
from typing import Any, Final

from msgspec.structs import replace

from clove.errors import CloveError, Internal, IsolationUnavailable
from clove.sandbox.init_errors import not_sent, program_refused
from clove.sandbox.spec import SandboxSpec

__all__ = ["failure", "weaker"]

FEATURES: Final = {
    "cgroup": "a cgroup of its own",
    "user": "a user namespace",
    "pid": "a pid namespace",
    "mnt": "a mount namespace",
    "net": "a network namespace",
    "egress": "a way to the network",
    "ipc": "an IPC namespace",
    "uts": "a UTS namespace",
    "cgroupns": "a cgroup namespace",
    "root": "a private root directory",
    "time": "a time namespace",
    "nesting": "the ban on nested user namespaces",
    "keyring": "a session keyring of its own",
    "capabilities": "the drop of all capabilities",
    "rlimits": "resource limits",
    "landlock": "Landlock",
    "seccomp": "a system call filter",
}
"""Step of the helper to what it gives."""

_NAMESPACE_STEPS: Final = frozenset({"user", "pid", "mnt", "net", "ipc", "uts", "cgroupns", "time"})

_FORBIDDEN: Final = (
    "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile with `userns,` for this "
    "Python (Ubuntu); in Docker run with --security-opt seccomp=FILE, which is Clove's "
    "deploy/docker/seccomp.json (or seccomp=unconfined); or start the kernel as root"
)
_OLD: Final = "Linux 5.12 or newer is needed, with the feature built in"
_MASKED: Final = (
    "in a container whose /proc is partly hidden a new one cannot be mounted: run it with "
    "--security-opt systempaths=unconfined (Docker) or unmask=ALL (Podman), or start the kernel "
    "as root"
)
_FILTER: Final = (
    "boot a kernel with CONFIG_SECCOMP_FILTER=y, on x86_64 or aarch64 with a Python of 64 bits; "
    "in a container its own profile must allow prctl(PR_SET_SECCOMP)"
)
_CGROUP: Final = (
    "give the kernel a cgroup: systemd's Delegate=yes, a container engine's writable mount, or root"
)
_DEGRADE: Final = "`clove doctor` shows what this host allows; allow_degraded starts it with less"

_FULL_NAMES: Final = {"cgroupns": "cgroup"}


def _remedy(step: str, number: int) -> str:
    if step == "cgroup":
        return _CGROUP
    if step == "seccomp":
        return _FILTER
    if number in (errno.ENOSYS, errno.EINVAL):
        return _OLD
    if step in _NAMESPACE_STEPS and number in (errno.ENOSPC, errno.EUSERS):
        kind = _FULL_NAMES.get(step, step)
        return f"raise the limit: sysctl user.max_{kind}_namespaces is used up or 0"
    if step in _NAMESPACE_STEPS or step == "nesting":
        return _FORBIDDEN
    if step == "root" and number == errno.EPERM:
        return _MASKED
    return ""


def failure(message: dict[str, Any], spec: SandboxSpec) -> CloveError:
    """The error for a `failed` message of the helper.

    @param message: with step, errno and text; perhaps path.
    """
    step = str(message.get("step", ""))
    number = message.get("errno")
    number = number if isinstance(number, int) else 0
    text = str(message.get("text", ""))
    path = str(message.get("path", ""))
    if number == errno.ETOOMANYREFS or step in ("send", "descriptors"):
        return not_sent(OSError(number, text))
    if step in ("exec", "cwd"):
        return program_refused(message, spec.argv[0], spec.cwd)
    if step not in FEATURES:
        return Internal(f"the sandbox could not be set up: {step}: {text}")
    where = f" ({path})" if path else ""
    hint = "; ".join(part for part in (_remedy(step, number), _DEGRADE) if part)
    return IsolationUnavailable(f"{FEATURES[step]} cannot be had: {text}{where}", hint=hint)


def _without_filter(spec: SandboxSpec) -> SandboxSpec:
    """Nothing keeps set-id bits from being set then, so no owner's files are the agent's."""
    binds = tuple(replace(bind, owner=None) for bind in spec.binds)
    return replace(spec, seccomp=False, binds=binds)


def weaker(spec: SandboxSpec, step: str) -> SandboxSpec | None:
    """The spec without what a failed step would have given, or None.

    Without a user namespace (and without root) or a private root nothing of a
    sandbox is left: then it is for the caller to run the program on the host.

    @param step: of the helper, as in a `failed` message.
    """
    if step == "cgroup":
        return replace(spec, cgroup_procs=()) if spec.cgroup_procs else None
    if step == "seccomp":
        return _without_filter(spec) if spec.seccomp else None
    if step == "landlock":
        return replace(spec, landlock=False) if spec.landlock else None
    if step == "egress":  # less network, never an open one
        return replace(spec, egress=None) if spec.egress is not None else None
    kind = _FULL_NAMES.get(step, step)
    if kind not in spec.namespaces or kind == "mnt" or (kind == "user" and spec.uid is None):
        return None
    egress = None if kind == "net" else spec.egress
    return replace(spec, namespaces=spec.namespaces - {kind}, egress=egress)
