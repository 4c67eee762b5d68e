"""The programs docker and podman, as deployments use them. Blocking.

What a deployment makes has its name as a label, by which it is found again.
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from clove.deploy.programs import Ran, run_program
from clove.errors import AlreadyExists, Internal, Unavailable

__all__ = ["ENGINES", "LABEL", "Container", "Containers"]

ENGINES: Final = ("docker", "podman")
LABEL: Final = "org.clove.deployment"
_USER: Final = 1000
"""Id of the image's user."""
_SECONDS: Final = 120.0
_BUILD_SECONDS: Final = 1800.0
_HINTS: Final = {
    "docker": "install Docker (`docker version` says whether it answers), or say --engine podman",
    "podman": "install Podman (`podman info` says whether it works), or say --engine docker",
}


class Container(NamedTuple):
    """What there is of a container.

    @ivar image: what it was made from, as it was named then.
    """

    id: str
    image: str
    running: bool
    status: str
    exit_code: int


class Containers:
    """What one of the programs has of a deployment.

    @param engine: C{docker} or C{podman}.
    @param name: of the deployment.
    """

    def __init__(self, engine: str, name: str, run: Callable[..., Ran] = run_program) -> None:
        self.engine = engine
        self._name = name
        self._run = run

    @property
    def label(self) -> str:
        """What everything of this deployment is labelled with."""
        return f"{LABEL}={self._name}"

    @property
    def container_name(self) -> str:
        """Of its container, and of its volume."""
        return f"clove-{self._name}"

    def ask(self, *words: str, stdin: bytes = b"", seconds: float = _SECONDS) -> str:
        """What the program prints.

        @raise CloveError: there is none, or it fails; with the end of what it said.
        """
        hint = _HINTS[self.engine]
        ran = self._run([self.engine, *words], missing=hint, stdin=stdin, timeout=seconds)
        if ran.status:
            what = " ".join(words[:2])
            raise Unavailable(f"{self.engine} {what} failed: {ran.complaint}", hint=hint)
        return ran.text

    def _found(self, kind: str, *words: str) -> list[str]:
        """Ids, or names, of what has this deployment's label."""
        text = self.ask(kind, "ls", *words, "--filter", f"label={self.label}")
        return list(dict.fromkeys(text.split()))

    def image_exists(self, image: str) -> bool:
        """Whether there is an image of this name."""
        return bool(self.ask("image", "ls", "--quiet", "--filter", f"reference={image}").split())

    def pull(self, image: str) -> None:
        """Fetch one, with the user's own access to its registry."""
        self.ask("pull", "--quiet", image, seconds=_BUILD_SECONDS)

    def build(self, image: str, context: str, base: str) -> None:
        """Build one from a directory.

        @param base: what the Dockerfile starts from; "": as that says.
        """
        words = ["build", "--quiet", "--tag", image, "--label", self.label]
        words += ["--build-arg", f"BASE={base}"] if base else []
        words += ["--format", "docker"] if self.engine == "podman" else []
        self.ask(*words, context, seconds=_BUILD_SECONDS)

    def container(self) -> Container | None:
        """The one of this deployment."""
        for found in self._found("container", "--all", "--no-trunc", "--format", "{{.ID}}"):
            text = self.ask("container", "inspect", found)
            try:
                (facts,) = json.loads(text)
                return _container(facts)
            except (ValueError, KeyError, TypeError) as error:
                raise Internal(
                    f"{self.engine} container inspect is not understood: {error}"
                ) from None
        return None

    def create(self, image: str, options: Sequence[str], volume: str) -> str:
        """Make a container that does not run yet, and its volume; gives its id.

        @param volume: where in it the volume is.
        @raise AlreadyExists: another's volume has the name.
        """
        name = self.container_name
        if not self._found("volume", "--quiet"):
            self.ask("volume", "create", "--label", self.label, name)
            if name not in self._found("volume", "--quiet"):  # docker gives the one that is there
                raise AlreadyExists(
                    f"{self.engine} has a volume {name} that this deployment did not make",
                    hint=f"choose another --name; or remove it: {self.engine} volume rm {name}",
                )
        words = ["create", "--name", name, "--label", self.label, "--volume", f"{name}:{volume}"]
        return self.ask(*words, *options, image, "kernel").split()[-1]

    def put(self, container: str, directory: str, files: Mapping[str, bytes]) -> None:
        """Put secrets into a container that was created, by its standard input: mode 0600, for the image's user."""
        self.ask("cp", "-", f"{container}:{directory}", stdin=_packed(files))

    def start(self, container: str) -> None:
        """Start it."""
        self.ask("start", container)

    def stop(self, container: str) -> None:
        """Ask it to end, and wait for that."""
        self.ask("stop", "--time", "30", container)

    def remove(self) -> None:
        """Remove the container, if there is one; its volume stays."""
        for found in self._found("container", "--all", "--no-trunc", "--format", "{{.ID}}"):
            self.ask("container", "rm", "--force", "--volumes", found)

    def remove_all(self) -> None:
        """And the volume."""
        self.remove()
        for volume in self._found("volume", "--quiet"):
            self.ask("volume", "rm", volume)

    def remove_images(self) -> None:
        """Remove the images that were built for this deployment."""
        for image in self._found("image", "--no-trunc", "--quiet"):
            self.ask("image", "rm", "--force", image)


def _container(facts: Mapping[str, Any]) -> Container:
    state = facts["State"]
    image = facts["Config"]["Image"]
    return Container(
        str(facts["Id"]),
        str(image),
        bool(state["Running"]),
        str(state["Status"]),
        int(state["ExitCode"]),
    )


def _packed(files: Mapping[str, bytes]) -> bytes:
    """A tar file with a directory C{secrets} for the image's user alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("secrets", *(f"secrets/{each}" for each in files)):
            member = tarfile.TarInfo(name)
            member.uid = member.gid = _USER
            member.mtime = int(time.time())
            member.mode = 0o600
            data = files.get(name.removeprefix("secrets/"), b"")
            if name == "secrets":
                member.type, member.mode = tarfile.DIRTYPE, 0o700
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
