"""The target C{docker}: a container of a docker or podman that the user has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clove._version import __version__
from clove.deploy.bundle.reading import read_facts
from clove.deploy.docker.containers import Containers
from clove.deploy.docker.image import ImageStep
from clove.deploy.docker.kernel import ContainerStep
from clove.deploy.enrol import Register, Smoke, Tunnel
from clove.deploy.kinds import Place
from clove.deploy.relay import Enrolment
from clove.deploy.step import Facts, Progress, Step
from clove.errors import InvalidRequest, NotFound

__all__ = ["CHANGEABLE", "DockerTarget", "machines", "make"]

CHANGEABLE: Final = ("base", "bundle")
"""What an image is built on and from; limits are those that the container was made with."""


def machines(name: str, options: Mapping[str, Any]) -> list[str]:
    """One, of the deployment's name."""
    return [name]


def make(place: Place, options: Mapping[str, Any]) -> DockerTarget:
    """The target.

    @param options: engine, image, bundle, base, memory, cpus, pids.
    """
    return DockerTarget(place, options)


class DockerTarget:
    """A container."""

    def __init__(self, place: Place, options: Mapping[str, Any]) -> None:
        self._containers = Containers(options["engine"], place.name)
        self._enrolment = Enrolment(place.relay, place.name, [place.name], place.labels, "docker")
        self._given = str(options["image"])
        self._image = ImageStep(
            self._containers,
            place.name,
            self._given,
            str(options["base"]),
            place.directory,
            str(options["bundle"]),
        )
        self._container = ContainerStep(self._containers, self._enrolment, options)

    @property
    def steps(self) -> Sequence[Step]:
        """In their order."""
        return (
            self._image,
            Register(self._enrolment),
            self._container,
            Tunnel(self._enrolment, self._where),
            Smoke(self._enrolment),
        )

    def _where(self, facts: Facts) -> str:
        own = self._containers
        return f"look at: {own.engine} logs {own.container_name}"

    def installed(self, facts: Facts) -> str:
        """The version, or the image where one was named, that the container is of."""
        found = self._containers.container()
        if found is None:
            raise NotFound("the container is gone", hint="deploy it again, with the same command")
        return self._version_of(found.image)

    def _version_of(self, image: str) -> str:
        before = self._image.tag("-").removesuffix("-")
        return image.removeprefix(before) if not self._given else image

    def upgrade(self, facts: Facts, version: str, bundle: str, progress: Progress) -> str:
        """Make the container anew from another image; its volume, and so its key and state, stay.

        @param version: of this Clove or of the bundle; where an image was named, the name of another one.
        @raise InvalidRequest: no image was named, where one is needed; or the bundle is none.
        """
        if self._given and not version:
            raise InvalidRequest(f"it runs the image {self._given}", hint="say which: --to IMAGE")
        wanted = version or (read_facts(Path(bundle)).release if bundle else __version__)
        image = self._image_of(wanted)
        if not self._containers.image_exists(image):
            if self._given:
                self._containers.pull(image)
            else:
                self._image.build(image, bundle, progress)
        self._container.replace(image)
        return wanted

    def change_back(self, facts: Facts, version: str, progress: Progress) -> None:
        """Make the container anew from the image that it had.

        @raise NotFound: that image is gone.
        """
        image = self._image_of(version)
        if not self._containers.image_exists(image):
            raise NotFound(f"the image {image} is not there any more", hint="upgrade to it instead")
        self._container.replace(image)

    def _image_of(self, version: str) -> str:
        return version if self._given else self._image.tag(version)
